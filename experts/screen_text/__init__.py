"""A voter of the image task that uses the screen's text, the text's layout, and pixel statistics."""
