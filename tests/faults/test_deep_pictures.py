"""Pictures of more than 8 bits per value keep their greys, whatever their byte order and number type."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mire.images import load_image

RAMP = np.linspace(0, 1, 11, dtype=np.float64)[None].repeat(4, 0)
"""4 rows of 11 values from 0 to 1."""
EXPECTED = [0, 25, 51, 76, 102, 127, 153, 178, 204, 229, 255]
"""``RAMP`` in 8 bits, rounded down."""


def written(folder: Path, values: np.ndarray, mode: str | None = None) -> Path:
    path = folder / "a.tiff"
    picture = Image.fromarray(values)
    if mode is not None:
        picture = Image.frombytes(mode, (values.shape[1], values.shape[0]), values.tobytes())
    picture.save(path)
    return path


def greys(path: Path) -> list[int]:
    pixels = np.asarray(load_image(path))
    assert pixels.shape == (4, 11, 3)
    assert (pixels == pixels[:, :, :1]).all() and (pixels == pixels[:1]).all()
    return [int(value) for value in pixels[0, :, 0]]


@pytest.mark.parametrize(
    ("values", "mode"),
    [
        ((RAMP * 65535).astype("<u2"), "I;16"),
        ((RAMP * 65535).astype(">u2"), "I;16B"),
        ((RAMP * 65535).astype("<i4"), "I"),
        (RAMP.astype("<f4"), "F"),
        ((RAMP * 255).astype("<f4"), "F"),
        ((RAMP * 65535).astype("<f4"), "F"),
        ((RAMP * 1e6).astype("<i4"), "I"),
        ((RAMP * 1e6).astype("<f4"), "F"),
    ],
    ids=["little", "big", "32 bit", "floats to 1", "floats to 255", "floats to 65535", "beyond", "floats beyond"],
)
def test_a_ramp_runs_from_black_to_white(tmp_path: Path, values: np.ndarray, mode: str) -> None:
    found = greys(written(tmp_path, values, mode))
    assert [abs(a - b) <= 1 for a, b in zip(found, EXPECTED, strict=True)] == [True] * 11, found


def test_what_is_no_number_is_black(tmp_path: Path) -> None:
    values = RAMP.astype("<f4")
    values[:, 3:6] = np.nan, np.inf, -np.inf
    values[:, 6] = -1
    assert greys(written(tmp_path, values, "F")) == [0, 25, 51, 0, 0, 0, 0, 178, 204, 229, 255]


def test_a_dark_16_bit_picture_stays_dark(tmp_path: Path) -> None:
    assert greys(written(tmp_path, np.full((4, 11), 300, dtype="<u2"), "I;16")) == [1] * 11
