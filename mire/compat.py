"""Patches that let the libraries work together; called before they are imported."""

import importlib.util
import sys
from pathlib import Path

_KEPT: list[object] = []
"""A torch Library removes its definitions when it is garbage-collected, so it is kept here."""


def patch_torchvision() -> None:
    """Let torchvision import next to a torch build that its compiled operators do not match.

    ``pip install torchvision`` beside a CPU-only torch leaves ``operator torchvision::nms does not exist``,
    and transformers and open_clip then refuse to import. Only torchvision's pure-Python transforms are
    used here, so declaring the two missing schemas is enough. Does nothing if the operators load.
    """
    specification = importlib.util.find_spec("torchvision")
    if _KEPT or "torchvision" in sys.modules or specification is None or specification.origin is None:
        return
    if operators_load(Path(specification.origin).parent):
        return
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)


def operators_load(folder: Path) -> bool:
    """Whether the compiled operators in torchvision's package folder match the installed torch."""
    binaries = [*folder.glob("_C*.so"), *folder.glob("_C*.pyd"), *folder.glob("_C*.dll")]
    try:
        import torch

        for binary in binaries:
            torch.ops.load_library(str(binary))
    except (ImportError, OSError):
        return False
    return bool(binaries)
