"""The ablation as a page, charts and text."""
