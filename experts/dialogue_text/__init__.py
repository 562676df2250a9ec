"""The dialogue's text as a voter of the dialogue task: no neural model, no download."""
