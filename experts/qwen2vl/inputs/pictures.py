"""Pictures as the bases' vision towers take them: resized to whole cells of two by two patches, cut into patches.

The same arithmetic as transformers' Qwen2VLImageProcessor (a test compares them), but each picture is one uint8
array, and its frame is not duplicated. torch resizes, as it does there: four times as fast as Pillow, and at most one
level of 255 away from it.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mire.errors import DataError
from mire.images import FALLBACK_SIZE_PIXELS, load_or_fallback, picture_size

if TYPE_CHECKING:
    from PIL.Image import Image

PATCH = 14
"""Side of a patch in pixels, in the families that do not say otherwise."""
MERGE = 2
"""Side of the square of patches that become one visual token: a cell."""
CELL = PATCH * MERGE
"""Side of a cell in pixels, with patches of that size."""
TEMPORAL = 2
"""Frames that the patch embedding's kernel spans."""
MAX_ASPECT = 200
"""The longest side ratio that is kept."""
Resize = Literal["qwen2vl", "llamafactory"]
"""Whose sizes: the processor's alone, or LLaMA-Factory's, which shrinks a large picture to the pixel limit first."""
_LF_MIN_PIXELS, _PROCESSOR_MAX_PIXELS = 32 * 32, 12_845_056


@dataclass(frozen=True)
class Patches:
    """One picture of ``rows`` x ``columns`` patches.

    ``pixels`` (rows * columns, 3 * patch * patch) uint8, ``patch`` being a patch's side: the four patches of a visual
    token follow one another.
    """

    pixels: NDArray[np.uint8]
    rows: int
    columns: int

    @property
    def n_tokens(self) -> int:
        """Visual tokens."""
        return self.rows * self.columns // MERGE**2

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of visual tokens."""
        return self.rows // MERGE, self.columns // MERGE


def llamafactory_size(height: int, width: int, *, max_pixels: int) -> tuple[int, int]:
    """Height and width that LLaMA-Factory 0.9.5 gives a picture before the processor does, cut to integers."""
    for limit, beyond in ((max_pixels, height * width > max_pixels), (_LF_MIN_PIXELS, height * width < _LF_MIN_PIXELS)):
        if beyond:
            factor = math.sqrt(limit / (width * height))
            height, width = int(height * factor), int(width * factor)
    height, width = max(height, CELL), max(width, CELL)
    if max(height, width) > MAX_ASPECT * min(height, width):
        short = min(height, width)
        height, width = (short, 180 * short) if width > height else (180 * short, short)
    return height, width


def grid_size(
    height: int, width: int, *, min_pixels: int, max_pixels: int, resize: Resize, patch: int = PATCH
) -> tuple[int, int]:
    """Height and width of a picture in whole cells.

    After LLaMA-Factory's own step the processor rounds to the nearest cells under its own, far larger limit, so that
    a picture may be a little above ``max_pixels``.
    """
    if resize == "llamafactory":
        height, width = llamafactory_size(height, width, max_pixels=max_pixels)
        max_pixels = _PROCESSOR_MAX_PIXELS
    return fit_size(height, width, min_pixels=min_pixels, max_pixels=max_pixels, patch=patch)


def fit_size(height: int, width: int, *, min_pixels: int, max_pixels: int, patch: int = PATCH) -> tuple[int, int]:
    """The size in pixels, height and width, to which a picture is resized.

    Both are whole cells, their product is within the limits, and the aspect ratio is kept as far as that
    allows: Qwen2-VL's ``smart_resize``. The original raises an error for a side ratio beyond ``MAX_ASPECT``; here the
    shorter side is first lengthened to that ratio.
    """
    cell = patch * MERGE
    height, width = max(height, math.ceil(width / MAX_ASPECT)), max(width, math.ceil(height / MAX_ASPECT))
    tall, wide = round(height / cell) * cell, round(width / cell) * cell
    if tall * wide > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        tall = max(cell, math.floor(height / shrink / cell) * cell)
        wide = max(cell, math.floor(width / shrink / cell) * cell)
    elif tall * wide < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        tall = math.ceil(height * grow / cell) * cell
        wide = math.ceil(width * grow / cell) * cell
    return max(tall, cell), max(wide, cell)


def load_patches(
    path: Path, *, min_pixels: int, max_pixels: int, resize: Resize = "qwen2vl", patch: int = PATCH
) -> tuple[Patches, str | None]:
    """A picture's patches and None; for an unreadable file a grey picture's patches and the reason."""
    picture, problem = load_or_fallback(path)
    return to_patches(picture, min_pixels=min_pixels, max_pixels=max_pixels, resize=resize, patch=patch), problem


def outline(path: Path, *, min_pixels: int, max_pixels: int, resize: Resize = "qwen2vl", patch: int = PATCH) -> Patches:
    """A picture's shape in patches, without pixels; only the file's header is read."""
    try:
        width, height = picture_size(path)
    except DataError:
        width, height = FALLBACK_SIZE_PIXELS
    tall, wide = grid_size(height, width, min_pixels=min_pixels, max_pixels=max_pixels, resize=resize, patch=patch)
    return Patches(np.empty((0, 3 * patch * patch), dtype=np.uint8), tall // patch, wide // patch)


def to_patches(
    picture: "Image | NDArray[np.uint8]",
    *,
    min_pixels: int,
    max_pixels: int,
    resize: Resize = "qwen2vl",
    patch: int = PATCH,
) -> Patches:
    """Resize an RGB picture, (height, width, 3) as an array, and cut it into patches; bicubic.

    The four patches of a visual token follow one another.
    """
    import torch

    pixels = np.require(picture, requirements="W")  # torch warns of an array that cannot be written to
    height, width, _ = pixels.shape
    tall, wide = grid_size(height, width, min_pixels=min_pixels, max_pixels=max_pixels, resize=resize, patch=patch)
    if resize == "llamafactory":
        from PIL import Image

        height, width = llamafactory_size(height, width, max_pixels=max_pixels)
        pixels = np.array(Image.fromarray(pixels).resize((width, height)))
    whole = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    (fitted,) = torch.nn.functional.interpolate(whole, (tall, wide), mode="bicubic", antialias=True)
    rows, columns = tall // patch, wide // patch
    grid = fitted.reshape(3, rows // MERGE, MERGE, patch, columns // MERGE, MERGE, patch)
    ordered = grid.permute(1, 4, 2, 5, 0, 3, 6)
    return Patches(ordered.reshape(rows * columns, 3 * patch * patch).numpy(), rows, columns)
