"""Parts of a picture are filled where private text was read, and nowhere else."""

from dataclasses import dataclass

from PIL import Image

from mire.privacy.masking import mask
from mire.privacy.pictures import fill, private_corners


@dataclass(frozen=True)
class Line:
    text: str
    corners: tuple[float, float, float, float]


def test_the_lines_that_are_masked_are_the_ones_to_fill() -> None:
    lines = (Line("13812345678", (0.1, 0.2, 0.5, 0.3)), Line("¥199.00", (0.1, 0.4, 0.5, 0.5)))
    assert private_corners(lines, mask) == ((0.1, 0.2, 0.5, 0.3),)
    assert private_corners(lines, str) == ()


def test_a_part_is_grey_and_the_rest_as_it_was() -> None:
    picture = Image.new("RGB", (100, 50), "white")
    fill(picture, [(0.1, 0.2, 0.5, 0.4)])
    assert picture.getpixel((10, 10)) == picture.getpixel((50, 20)) == (128, 128, 128)
    assert picture.getpixel((8, 15)) == picture.getpixel((30, 22)) == picture.getpixel((52, 15)) == (255, 255, 255)
