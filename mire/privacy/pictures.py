"""Fill the parts of a picture in which a reader found private text."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from mire.privacy.masking import Hide

if TYPE_CHECKING:
    from PIL.Image import Image

Corners = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of a picture's width and height."""

_MARGIN = 0.004
"""Added on each side: a reader's boxes are tight."""


class TextLine(Protocol):
    """A line of text on a picture; corners are shares of its width (x) and height (y)."""

    @property
    def text(self) -> str: ...

    @property
    def corners(self) -> Corners: ...


def private_corners(lines: Iterable[TextLine], hide: Hide) -> tuple[Corners, ...]:
    """The corners of those lines of which ``hide`` hides something."""
    return tuple(line.corners for line in lines if hide(line.text) != line.text)


def fill(picture: "Image", parts: Iterable[Corners]) -> None:
    """Paint the parts of an RGB picture grey, in place."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for x0, y0, x1, y1 in parts:
        left, top, right, bottom = x0 - _MARGIN, y0 - _MARGIN, x1 + _MARGIN, y1 + _MARGIN
        draw.rectangle((left * width, top * height, right * width, bottom * height), fill="grey")
