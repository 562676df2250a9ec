"""One loader for every voter, so that training and prediction see the same pixels."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mire.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_DECODED_PIXELS = 100_000_000
"""Pictures with more pixels are refused before they are decoded (decompression bombs); settings may lower it."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that phones and shops send. Pillow reads more, but some of its readers start other programs."""

FALLBACK_SIZE_PIXELS = (56, 56)
"""Size of the grey picture that stands in for one that cannot be read."""

NO_PICTURE = Path()
"""Replaces a refused picture in a sample; loading it fails like loading a missing file."""


def resolve_image(root: Path, name: str) -> Path:
    """The path of picture ``name`` under ``root``.

    Raises:
        DataError: the name leads out of ``root`` (absolute, ``..``, a link, a URL), or is no valid file name.
    """
    path = root / name
    try:
        # On Windows a drive or a share makes the joined path absolute; is_relative_to then fails.
        relative = "://" not in name and not name.startswith(("/", "\\"))
        inside = relative and path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):  # too long, a NUL or a lone surrogate, a loop of links
        inside = False
    if not inside:
        raise DataError(f"picture {_short(name)!r} does not lie inside the picture folder")
    return path


def _short(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}..."


def picture_problem(path: Path, *, max_decoded_pixels: int = MAX_DECODED_PIXELS) -> str | None:
    """Why the picture cannot be used, judged by its header alone; nothing is decoded. None if nothing is wrong."""
    try:
        with _opened(path, max_decoded_pixels):
            return None
    except DataError as error:
        return str(error)


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels from the file's header, before any EXIF rotation; nothing is decoded.

    Raises:
        DataError: as ``load_image``, for faults visible in the header.
    """
    with _opened(path, MAX_DECODED_PIXELS) as picture:
        width, height = picture.size
        return width, height


def load_image(path: Path) -> "Image":
    """Read a picture as 8-bit RGB: rotated by its EXIF tag, transparency on white, first frame.

    Raises:
        DataError: missing, not a picture, truncated, or over ``MAX_DECODED_PIXELS``.
    """
    from PIL import ImageOps

    with _opened(path, MAX_DECODED_PIXELS) as picture:
        picture.seek(0)
        ImageOps.exif_transpose(picture, in_place=True)
        return _rgb(picture)


def load_or_fallback(path: Path) -> "tuple[Image, str | None]":
    """The picture and None; or, if it cannot be read, a plain grey one and the reason."""
    from PIL import Image

    try:
        return load_image(path), None
    except DataError as error:
        return Image.new("RGB", FALLBACK_SIZE_PIXELS, (127, 127, 127)), str(error)


def content_hash(path: Path) -> str:
    """SHA-256 of the file's bytes (hex); of its name if the file cannot be read."""
    try:
        with _regular(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, DataError):
        return hashlib.sha256(f"missing:{path.name}".encode(errors="backslashreplace")).hexdigest()


@lru_cache
def _formats() -> tuple[str, ...]:
    """Those of ``FORMATS`` that this build of Pillow can read."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextmanager
def _opened(path: Path, max_decoded_pixels: int) -> "Iterator[Image]":
    """Open a picture and read its header only."""
    from PIL import Image

    with _explained(path), Image.open(_regular(path), formats=_formats()) as picture:
        width, height = picture.size
        if width * height > max_decoded_pixels:
            raise DataError(
                f"picture {_short(path.name)!r}: {width}x{height} pixels exceed the limit of {max_decoded_pixels}"
            )
        yield picture


def _regular(path: Path) -> Path:
    """The path, if it is a regular file: reading from a pipe could block forever."""
    if not path.is_file():
        raise DataError(f"picture {_short(path.name)!r} is missing")
    return path


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn any error of Pillow on untrusted bytes into a ``DataError`` that names the picture."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        # Broken files raise any kind of error in Pillow, even IndexError and struct.error. Its text may hold the path.
        said = getattr(error, "strerror", None) or str(error).replace(f" {str(path)!r}", "")
        reason = said or type(error).__name__
        raise DataError(f"picture {_short(path.name)!r} cannot be read: {reason}") from error


def _rgb(picture: "Image") -> "Image":
    """The picture converted to RGB; the same object if it is RGB already."""
    from PIL import Image

    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        return picture.point(lambda value: value / 256).convert("L").convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    if picture.mode == "RGB":  # convert would copy it
        picture.load()
        return picture
    return picture.convert("RGB")
