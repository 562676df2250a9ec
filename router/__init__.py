"""The router: reads a prompt and picks the task, without a model call."""
