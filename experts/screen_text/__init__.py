"""The screen's text as a voter of the image task: what it says, where it stands, what the screen looks like."""
