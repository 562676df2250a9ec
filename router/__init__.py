"""The router: picks a prompt's task from its text, without a model call."""
