"""LightGBM's own text format, which LightGBM itself reads without looking: half a file ends the process."""

from pathlib import Path
from typing import TYPE_CHECKING

from mire.errors import PanelError

if TYPE_CHECKING:
    from lightgbm import Booster

_FIRST, _LAST = "tree", "pandas_categorical:"


def load_trees(path: Path) -> "Booster":
    """Read what ``Booster.save_model`` wrote.

    Raises:
        PanelError: the file is missing, is something else, or is not whole.
    """
    import lightgbm

    lines = path.read_text(encoding="utf-8", errors="replace").split() if path.is_file() else []
    if not lines or lines[0] != _FIRST or not lines[-1].startswith(_LAST):
        raise PanelError(f"{path} is no whole LightGBM text file; copy the panel again, or train this voter again")
    return lightgbm.Booster(model_file=path)
