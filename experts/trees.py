"""Load LightGBM's text format with a check first: on an incomplete file LightGBM itself crashes the process."""

from pathlib import Path
from typing import TYPE_CHECKING

from mire.errors import PanelError

if TYPE_CHECKING:
    from lightgbm import Booster

_FIRST, _LAST = "tree", "pandas_categorical:"


def load_trees(path: Path) -> "Booster":
    """Read what ``Booster.save_model`` wrote.

    Raises:
        PanelError: the file is missing, incomplete, or not a LightGBM text file.
    """
    import lightgbm

    lines = path.read_text(encoding="utf-8", errors="replace").split() if path.is_file() else []
    if not lines or lines[0] != _FIRST or not lines[-1].startswith(_LAST):
        raise PanelError(f"{path} is not a complete LightGBM text file; copy the panel again, or retrain this voter")
    return lightgbm.Booster(model_file=path)
