"""A voter of both tasks: a sentence encoder on the text, trained on examples and on the labels' descriptions."""
