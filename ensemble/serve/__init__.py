"""A page and an HTTP interface over one panel: ``python -m ensemble.serve --panel runs/p``."""
