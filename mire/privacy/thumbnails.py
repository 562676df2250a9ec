"""Small pictures inside a page, as data URIs."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from mire.errors import DataError
from mire.images import load_image
from mire.privacy.pictures import Corners, fill

SIZE_PIXELS = (180, 240)
UNREADABLE_PIXELS = (64, 64)
"""Of a picture that no voter has read: where it holds private text is not known."""
MAX_BYTES = 3_000_000
"""All thumbnails of a page together; pictures beyond are left out, so that the page stays light."""


class Thumbnails:
    """Turns paths of pictures into data URIs until the page is heavy enough."""

    def __init__(self, max_bytes: int = MAX_BYTES, size: tuple[int, int] = SIZE_PIXELS) -> None:
        self._left, self._size = max_bytes, size

    def __call__(self, path: str, hidden: Sequence[Corners] | None) -> str | None:
        """A data URI of the picture with some parts filled, or None where it cannot be read or no room is left.

        If ``hidden`` is None it is not known what must be hidden, and the picture is made too small to read.
        """
        try:
            picture = load_image(Path(path))
        except DataError:
            return None
        fill(picture, hidden or ())
        picture.thumbnail(UNREADABLE_PIXELS if hidden is None else self._size)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=70)
        self._left -= buffer.tell()
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}" if self._left >= 0 else None
