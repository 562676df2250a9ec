"""An open_clip picture embedding with LightGBM on top."""
