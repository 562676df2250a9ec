"""One loader for every voter, so that training and prediction see the same pixels."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from mire.errors import DataError, quoted
from mire.images.metadata import orientation, without_metadata

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

Result = TypeVar("Result")

MAX_DECODED_PIXELS = 100_000_000
"""Pictures with more pixels are refused before they are decoded (decompression bombs); settings may lower it."""

MAX_SIDE_PIXELS = 65_535
"""JPEG's own limit. A line of a hundred million pixels takes gigabytes when it is resized."""

MAX_TILE_PIXELS = 2**20
"""Of one tile of a TIFF that is larger than its picture."""
_TILE_WIDTH, _TILE_LENGTH = 322, 323
"""TIFF's tags."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""What phones and shops send. Pillow knows more, some of which starts other programs."""

_STRIP_PIXELS = 2**20

_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What undoes an orientation, by its value in the metadata."""

FALLBACK_SIZE_PIXELS = (56, 56)
"""Size of the grey picture that stands in for one that cannot be read."""

NO_PICTURE = Path()
"""Stands in a sample for a picture that was refused; loading it fails as loading a missing one does."""


def resolve_image(root: Path, name: str) -> Path:
    """The path of picture ``name`` under ``root``; backslashes of Windows separate folders where no file has them.

    In a hub's snapshot, whose files are links, the target may lie among the same repository's blobs.

    Raises:
        DataError: the name leads out of ``root`` (absolute, ``..``, a link, a URL), or no file can have it.
    """
    path = root / name
    try:
        if "\\" in name and not path.exists():
            path = root / name.replace("\\", "/")
        # On Windows a drive or a share makes the joined path absolute, which the second test sees.
        relative = "://" not in name and not name.startswith(("/", "\\"))
        inside = relative and any(path.resolve().is_relative_to(folder) for folder in _allowed(root.resolve()))
    except (OSError, ValueError, RuntimeError):  # too long, a NUL or a lone surrogate, a loop of links
        inside = False
    if not inside:
        raise DataError(f"picture {quoted(name)} does not lie inside the picture folder")
    return path


def _allowed(root: Path) -> Iterator[Path]:
    """Folders that pictures may lie in: ``root``, and a snapshot's blobs (``REPO/snapshots/REVISION`` and below)."""
    yield root
    yield from (folder.parents[1] / "blobs" for folder in (root, *root.parents) if folder.parent.name == "snapshots")


def missing_problem(root: Path, name: str, path: Path) -> str | None:
    """The message that ``root``'s picture ``name`` is not at ``path``, and where it may be; None if a file is there."""
    try:
        if path.is_file():
            return None
        base = name.replace("\\", "/").rpartition("/")[2]
        hint = f"; {quoted(base)} is there: names count from the picture folder" if (root / base).is_file() else ""
    except OSError:  # longer than a name may be: what comes next says so
        return None
    return f"picture {quoted(name)} is missing{hint if base != name else ''}"


def picture_problem(path: Path, *, max_decoded_pixels: int = MAX_DECODED_PIXELS) -> str | None:
    """Why the picture cannot be used, as far as its first bytes tell; nothing is decoded."""
    try:
        _read(path, _size, max_decoded_pixels)
    except DataError as error:
        return str(error)
    return None


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as the file's head has them, before any turn; nothing is decoded.

    Raises:
        DataError: as ``load_image``, as far as the head tells.
    """
    return _read(path, _size, MAX_DECODED_PIXELS)


def load_image(path: Path) -> "Image":
    """Read a picture as 8-bit RGB: turned by its orientation, transparency on white, first frame.

    Of the metadata the orientation alone is read, and passed over where it is broken.

    Raises:
        DataError: missing, not a picture, truncated, or over ``MAX_DECODED_PIXELS``.
    """
    return _read(path, _decoded, MAX_DECODED_PIXELS)


def load_pixels(path: Path) -> "NDArray[np.uint8]":
    """The pixels of ``load_image``'s picture, (height, width, 3).

    Raises:
        DataError: as ``load_image``.
    """
    return _read(path, _pixels, MAX_DECODED_PIXELS)


def load_or_fallback(path: Path) -> "tuple[NDArray[np.uint8], str | None]":
    """The picture's pixels, or those of a plain grey one with the reason why it stands in."""
    import numpy as np

    try:
        return load_pixels(path), None
    except DataError as error:
        width, height = FALLBACK_SIZE_PIXELS
        return np.full((height, width, 3), 127, dtype=np.uint8), str(error)


def content_hash(path: Path) -> str:
    """SHA-256 of the file's bytes (hex); of its name where it cannot be read."""
    try:
        with _regular(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, DataError):
        return hashlib.sha256(f"missing:{path.name}".encode(errors="backslashreplace")).hexdigest()


def _read(path: Path, use: "Callable[[ImageFile], Result]", max_decoded_pixels: int) -> Result:
    """What ``use`` makes of the opened picture; of one that fails, of its pixels without the metadata."""
    try:
        with _opened(path, max_decoded_pixels) as picture:
            return use(picture)
    except DataError:
        bare = without_metadata(path)
        if bare is None:
            raise
    with _opened(path, max_decoded_pixels, bare) as picture:
        return use(picture)


def _size(picture: "Image") -> tuple[int, int]:
    width, height = picture.size
    return width, height


def _decoded(picture: "Image") -> "Image":
    from PIL.Image import Transpose

    picture.seek(0)
    pixels = _rgb(picture)
    turn = _TURNS.get(orientation(picture.getexif) or 1)
    return pixels.transpose(Transpose[turn]) if turn else pixels


def _pixels(picture: "ImageFile") -> "NDArray[np.uint8]":
    import numpy as np

    found = _simple_webp(picture) if picture.format == "WEBP" and picture.mode == "RGB" else None
    return np.array(_decoded(picture)) if found is None else found


def _simple_webp(picture: "ImageFile") -> "NDArray[np.uint8] | None":
    """A WebP that holds one still picture and nothing else, decoded by OpenCV; None for any other, and a broken one.

    Both have libwebp and give the same bits, but Pillow copies them several times on the way to an array, and other
    threads wait meanwhile. Where something follows the picture, OpenCV would read on beyond the end of a broken one.
    """
    import numpy as np

    cv2 = _opencv()
    if picture.fp is None or cv2 is None:
        return None
    picture.fp.seek(0)
    data = picture.fp.read()
    # A file is RIFF, its size, WEBP; then the picture's name, its size, and it, filled up to an even number of bytes.
    size = int.from_bytes(data[16:20], "little")
    if data[12:16] not in (b"VP8 ", b"VP8L") or len(data) != 20 + size + size % 2:
        return None
    try:
        found: NDArray[np.uint8] | None = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None
    return found


@lru_cache
def _opencv() -> Any:
    """The module; None where it cannot be loaded or another package has overwritten it: Pillow can do it all."""
    try:
        import cv2
    except ImportError:
        return None
    return cv2 if hasattr(cv2, "IMREAD_COLOR_RGB") else None


@lru_cache
def _formats() -> tuple[str, ...]:
    """Those of ``FORMATS`` that this build of Pillow can read."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextmanager
def _opened(path: Path, max_decoded_pixels: int, source: IO[bytes] | None = None) -> "Iterator[ImageFile]":
    """An opened picture of which only the head has been read; ``source`` is read instead of the file."""
    from PIL import Image

    with _explained(path), Image.open(source or _regular(path), formats=_formats()) as picture:
        width, height = picture.size
        if width * height > max_decoded_pixels:
            raise DataError(
                f"picture {quoted(path.name)}: {width}x{height} pixels exceed the limit of {max_decoded_pixels}"
            )
        if max(width, height) > MAX_SIDE_PIXELS:
            raise DataError(
                f"picture {quoted(path.name)}: a side of {max(width, height)} pixels exceeds the limit of "
                f"{MAX_SIDE_PIXELS}"
            )
        if (tile := _tile_pixels(picture)) > max(width * height, MAX_TILE_PIXELS):
            raise DataError(
                f"picture {quoted(path.name)}: tiles of {tile} pixels exceed the picture and the limit of "
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
        raise DataError(f"picture {quoted(path.name)} is missing")
    return path


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn any error that Pillow raises for a broken file into one that names the picture."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        # Broken files raise anything in Pillow, IndexError and struct.error too. Its text may hold the path.
        said = getattr(error, "strerror", None) or str(error).replace(f" {str(path)!r}", "")
        reason = said or type(error).__name__
        raise DataError(f"picture {quoted(path.name)} cannot be read: {reason}") from error


def _rgb(picture: "Image") -> "Image":
    """Another picture, or the same one where it is RGB already."""
    picture.load()
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        scale = _scale(picture)
        return _by_strips(picture, lambda strip: _eight_bit(strip, scale))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        return _by_strips(picture, _on_white)
    return picture if picture.mode == "RGB" else picture.convert("RGB")  # convert would copy it


def _by_strips(picture: "Image", convert: "Callable[[Image], Image]") -> "Image":
    """As ``convert(picture)``, with what it needs besides for a few rows at a time only."""
    from PIL import Image

    whole = Image.new("RGB", picture.size)
    for box in _strips(picture):
        whole.paste(convert(picture.crop(box)), box)
    return whole


def _strips(picture: "Image") -> Iterator[tuple[int, int, int, int]]:
    n_rows = max(1, _STRIP_PIXELS // picture.width)
    for top in range(0, picture.height, n_rows):
        yield 0, top, picture.width, min(top + n_rows, picture.height)


def _on_white(picture: "Image") -> "Image":
    from PIL import Image

    seen_through, white = picture.convert("RGBA"), Image.new("RGB", picture.size, "white")
    # As alpha_composite to the last bit, in a third of the time; and other threads can run beside it.
    white.paste(seen_through, mask=seen_through)
    return white


def _eight_bit(picture: "Image", scale: float) -> "Image":
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.clip(_numbers(picture) * scale, 0, 255).astype(np.uint8)).convert("RGB")


def _scale(picture: "Image") -> float:
    """What brings greys of more than 8 bits to 8: white is 65535, of floats the least of 1, 255 and 65535 that none
    exceeds. Where a value exceeds 65535, the highest is white.
    """
    highest = max(float(_numbers(picture.crop(box)).max(initial=0.0)) for box in _strips(picture))
    if picture.mode == "F" and highest <= 255:
        return 255.0 if highest <= 1 else 1.0
    return 1 / 256 if highest <= 65535 else 255 / highest


def _numbers(picture: "Image") -> "NDArray[np.float64]":
    """Its values; floats that are no numbers are 0, black."""
    import numpy as np

    return np.nan_to_num(np.asarray(picture).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
