"""The ways that others take to an answer."""
