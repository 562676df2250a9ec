"""The service's page, in Gradio."""
