"""One loader for every voter, so that training and prediction see the same pixels."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from mire.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_DECODED_PIXELS = 100_000_000
"""Pictures with more pixels are refused before they are decoded (decompression bombs)."""

FALLBACK_SIZE_PIXELS = (56, 56)
"""Size of the grey picture that stands in for one that cannot be read."""


def resolve_image(root: Path, name: str) -> Path:
    """The path of picture ``name`` under ``root``.

    Raises:
        DataError: the name leads out of ``root`` (absolute, ``..``, a link, a URL).
    """
    if "\0" in name or "://" in name or name.startswith(("/", "\\")):
        raise DataError(f"a picture must lie inside the picture folder, got {name!r}")
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(f"a picture must lie inside the picture folder, got {name!r}")
    return path


def load_image(path: Path) -> "Image":
    """Read a picture as 8-bit RGB: turned by its EXIF tag, transparency on white, first frame.

    Raises:
        DataError: missing, not a picture, truncated, or over ``MAX_DECODED_PIXELS``.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            width, height = picture.size
            if width * height > MAX_DECODED_PIXELS:
                raise DataError(f"{path}: {width}x{height} pixels exceed the limit of {MAX_DECODED_PIXELS}")
            picture.seek(0)
            return _rgb(ImageOps.exif_transpose(picture))
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture: {error}") from error


def load_or_fallback(path: Path) -> "tuple[Image, str | None]":
    """The picture, or a plain grey one with the reason why it stands in."""
    from PIL import Image

    try:
        return load_image(path), None
    except DataError as error:
        return Image.new("RGB", FALLBACK_SIZE_PIXELS, (127, 127, 127)), str(error)


def content_hash(path: Path) -> str:
    """SHA-256 of the file's bytes (hex); of its name where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return hashlib.sha256(f"missing:{path.name}".encode()).hexdigest()


def _rgb(picture: "Image") -> "Image":
    from PIL import Image

    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        return picture.point(lambda value: value / 256).convert("L").convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")
