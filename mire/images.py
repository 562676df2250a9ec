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

MAX_TILE_PIXELS = 2**20
"""Of one tile of a TIFF that is larger than its picture."""
_TILE_WIDTH, _TILE_LENGTH = 322, 323
"""TIFF's tags."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""What phones and shops send. Pillow knows more, some of which starts other programs."""

FALLBACK_SIZE_PIXELS = (56, 56)
"""Size of the grey picture that stands in for one that cannot be read."""

NO_PICTURE = Path()
"""Stands in a sample for a picture that was refused; loading it fails as loading a missing one does."""


def resolve_image(root: Path, name: str) -> Path:
    """The path of picture ``name`` under ``root``.

    Raises:
        DataError: the name leads out of ``root`` (absolute, ``..``, a link, a URL), or no file can have it.
    """
    path = root / name
    try:
        # On Windows a drive or a share makes the joined path absolute, which the second test sees.
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
    """Why the picture cannot be used, as far as its first bytes tell; nothing is decoded."""
    try:
        with _opened(path, max_decoded_pixels):
            return None
    except DataError as error:
        return str(error)


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as the file's head has them, before any turn; nothing is decoded.

    Raises:
        DataError: as ``load_image``, as far as the head tells.
    """
    with _opened(path, MAX_DECODED_PIXELS) as picture:
        width, height = picture.size
        return width, height


def load_image(path: Path) -> "Image":
    """Read a picture as 8-bit RGB: turned by its EXIF tag, transparency on white, first frame.

    Raises:
        DataError: missing, not a picture, truncated, or over ``MAX_DECODED_PIXELS``.
    """
    from PIL import ImageOps

    with _opened(path, MAX_DECODED_PIXELS) as picture:
        picture.seek(0)
        ImageOps.exif_transpose(picture, in_place=True)
        return _rgb(picture)


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
    """An opened picture of which only the head has been read."""
    from PIL import Image

    with _explained(path), Image.open(_regular(path), formats=_formats()) as picture:
        width, height = picture.size
        if width * height > max_decoded_pixels:
            raise DataError(
                f"picture {_short(path.name)!r}: {width}x{height} pixels exceed the limit of {max_decoded_pixels}"
            )
        if (tile := _tile_pixels(picture)) > max(width * height, MAX_TILE_PIXELS):
            raise DataError(
                f"picture {_short(path.name)!r}: tiles of {tile} pixels exceed the picture and the limit of "
                f"{MAX_TILE_PIXELS}; save it without tiles"
            )
        yield picture


def _tile_pixels(picture: "Image") -> int:
    """Pixels of one tile of a TIFF, which are decoded as a whole however small the picture is; 0 without tiles."""
    tags = getattr(picture, "tag_v2", {})
    return int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0))


def _regular(path: Path) -> Path:
    """The path, if a file lies there: a pipe would keep its reader waiting for ever."""
    if not path.is_file():
        raise DataError(f"picture {_short(path.name)!r} is missing")
    return path


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever Pillow makes of a stranger's bytes, as an error that names the picture."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        # Broken files raise anything in Pillow, IndexError and struct.error too. Its text may hold the path.
        said = getattr(error, "strerror", None) or str(error).replace(f" {str(path)!r}", "")
        reason = said or type(error).__name__
        raise DataError(f"picture {_short(path.name)!r} cannot be read: {reason}") from error


def _rgb(picture: "Image") -> "Image":
    """Another picture, or the same one where it is RGB already."""
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
