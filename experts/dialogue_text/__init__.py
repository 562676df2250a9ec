"""A voter of the dialogue task that uses the dialogue's text, without a neural model or download."""
