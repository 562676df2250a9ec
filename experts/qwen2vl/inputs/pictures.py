"""Pictures as Qwen2-VL's vision tower takes them: resized to whole 28-pixel cells, cut into patches.

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
"""Side of a patch in pixels."""
MERGE = 2
"""Side of the square of patches that become one visual token."""
CELL = PATCH * MERGE
"""Side of that square in pixels."""
TEMPORAL = 2
"""Frames that the patch embedding's kernel spans."""
MAX_ASPECT = 200
"""The longest side ratio that is kept."""
Resize = Literal["qwen2vl", "llamafactory"]
"""Whose sizes: the processor's alone, or LLaMA-Factory's, which shrinks a large picture to the pixel limit first."""
_LF_MIN_PIXELS, _PROCESSOR_MAX_PIXELS = 32 * 32, 12_845_056
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)
"""CLIP's normalisation, which Qwen2-VL uses: of the red, green and blue values in 0 to 1."""


@dataclass(frozen=True)
class Patches:
    """One picture of ``rows`` x ``columns`` patches.

    ``pixels`` (rows * columns, 3 * 14 * 14) uint8: the four patches of a visual token follow one another.
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


def grid_size(height: int, width: int, *, min_pixels: int, max_pixels: int, resize: Resize) -> tuple[int, int]:
    """Height and width of a picture in whole cells.

    After LLaMA-Factory's own step the processor rounds to the nearest cells under its own, far larger limit, so that
    a picture may be a little above ``max_pixels``.
    """
    if resize == "llamafactory":
        height, width = llamafactory_size(height, width, max_pixels=max_pixels)
        max_pixels = _PROCESSOR_MAX_PIXELS
    return fit_size(height, width, min_pixels=min_pixels, max_pixels=max_pixels)


def fit_size(height: int, width: int, *, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """The size in pixels, height and width, to which a picture is resized.

    Both are multiples of ``CELL``, their product is within the limits, and the aspect ratio is kept as far as that
    allows: Qwen2-VL's ``smart_resize``. The original raises an error for a side ratio beyond ``MAX_ASPECT``; here the
    shorter side is first lengthened to that ratio.
    """
    height, width = max(height, math.ceil(width / MAX_ASPECT)), max(width, math.ceil(height / MAX_ASPECT))
    tall, wide = round(height / CELL) * CELL, round(width / CELL) * CELL
    if tall * wide > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        tall = max(CELL, math.floor(height / shrink / CELL) * CELL)
        wide = max(CELL, math.floor(width / shrink / CELL) * CELL)
    elif tall * wide < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        tall = math.ceil(height * grow / CELL) * CELL
        wide = math.ceil(width * grow / CELL) * CELL
    return max(tall, CELL), max(wide, CELL)


def load_patches(
    path: Path, *, min_pixels: int, max_pixels: int, resize: Resize = "qwen2vl"
) -> tuple[Patches, str | None]:
    """A picture's patches and None; for an unreadable file a grey picture's patches and the reason."""
    picture, problem = load_or_fallback(path)
    return to_patches(picture, min_pixels=min_pixels, max_pixels=max_pixels, resize=resize), problem


def outline(path: Path, *, min_pixels: int, max_pixels: int, resize: Resize = "qwen2vl") -> Patches:
    """A picture's shape in patches, without pixels; only the file's header is read."""
    try:
        width, height = picture_size(path)
    except DataError:
        width, height = FALLBACK_SIZE_PIXELS
    tall, wide = grid_size(height, width, min_pixels=min_pixels, max_pixels=max_pixels, resize=resize)
    return Patches(np.empty((0, 3 * PATCH * PATCH), dtype=np.uint8), tall // PATCH, wide // PATCH)


def to_patches(picture: "Image", *, min_pixels: int, max_pixels: int, resize: Resize = "qwen2vl") -> Patches:
    """Resize an RGB picture (bicubic) and cut it into patches; the four of a visual token follow one another."""
    import torch

    limits = {"min_pixels": min_pixels, "max_pixels": max_pixels}
    tall, wide = grid_size(picture.height, picture.width, **limits, resize=resize)
    if resize == "llamafactory":
        height, width = llamafactory_size(picture.height, picture.width, max_pixels=max_pixels)
        picture = picture.resize((width, height))
    whole = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
    (fitted,) = torch.nn.functional.interpolate(whole, (tall, wide), mode="bicubic", antialias=True)
    rows, columns = tall // PATCH, wide // PATCH
    grid = fitted.reshape(3, rows // MERGE, MERGE, PATCH, columns // MERGE, MERGE, PATCH)
    ordered = grid.permute(1, 4, 2, 5, 0, 3, 6)
    return Patches(ordered.reshape(rows * columns, 3 * PATCH * PATCH).numpy(), rows, columns)
