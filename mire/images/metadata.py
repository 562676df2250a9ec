"""Metadata of pictures: the orientation is read where it can be, the rest never keeps pixels from being used."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

_ORIENTATION_TAG = 0x0112
_EXIF_HEAD = b"Exif\0\0"
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_JPEG_HEAD = b"\xff\xd8"
_JPEG_APP0, _JPEG_EXIF, _JPEG_COLOURS, _JPEG_COMMENT, _JPEG_SCAN = 0xE0, 0xE1, 0xEE, 0xFE, 0xDA


def orientation(exif: Callable[[], Any]) -> int | None:
    """The orientation (1 to 8) in what ``exif`` gives, Pillow's mapping of tags; None where it cannot be read."""
    try:
        value = exif().get(_ORIENTATION_TAG)
    except Exception:  # garbage in the metadata raises anything in Pillow
        return None
    return value if isinstance(value, int) else None


def without_metadata(path: Path) -> IO[bytes] | None:
    """A PNG or JPEG with its pixels and its orientation only; None for what is neither, or cut off.

    Pillow parses the rest when it opens a picture, and what it cannot parse costs the pixels too.
    """
    try:
        content = path.read_bytes() if path.is_file() else b""
        if content.startswith(_PNG_HEAD):
            return io.BytesIO(_PNG_HEAD + b"".join(_png_pixels(content)))
        if content.startswith(_JPEG_HEAD):
            return io.BytesIO(_JPEG_HEAD + b"".join(_jpeg_pixels(content)))
    except (OSError, struct.error, IndexError):
        pass
    return None


def _png_pixels(content: bytes) -> Iterator[bytes]:
    """The chunks that decide the pixels, as they stand, and the orientation."""
    offset = len(_PNG_HEAD)
    while offset < len(content):
        (length,) = struct.unpack_from(">I", content, offset)
        kind, body = content[offset + 4 : offset + 8], content[offset + 8 : offset + 8 + length]
        if kind in _PNG_PIXELS:
            yield content[offset : offset + length + 12]
        elif kind == b"eXIf" and (plain := _orientation_alone(body)):
            yield struct.pack(">I", len(plain)) + kind + plain + struct.pack(">I", zlib.crc32(kind + plain))
        offset += length + 12


def _jpeg_pixels(content: bytes) -> Iterator[bytes]:
    """The segments that decide the pixels, as they stand, and the orientation; from the first scan on everything."""
    offset = len(_JPEG_HEAD)
    while content[offset + 1] != _JPEG_SCAN:
        if content[offset] != 0xFF or content[offset + 1] == 0xFF:  # garbage or padding between segments
            offset += 1
            continue
        marker = content[offset + 1]
        (length,) = struct.unpack_from(">H", content, offset + 2)
        body = content[offset + 4 : offset + 2 + length]
        if marker == _JPEG_EXIF and (plain := _orientation_alone(body)):
            segment = _EXIF_HEAD + plain
            yield struct.pack(">BBH", 0xFF, marker, len(segment) + 2) + segment
        elif marker == _JPEG_COLOURS or not (_JPEG_APP0 <= marker <= 0xEF or marker == _JPEG_COMMENT):
            yield content[offset : offset + 2 + length]
        offset += 2 + length
    yield content[offset:]


def _orientation_alone(block: bytes) -> bytes:
    """EXIF with the orientation of ``block`` and nothing else; empty where there is none."""
    from PIL.Image import Exif

    def loaded() -> Exif:
        exif = Exif()
        exif.load(_EXIF_HEAD + block.removeprefix(_EXIF_HEAD))
        return exif

    value, plain = orientation(loaded), Exif()
    if value is None:
        return b""
    plain[_ORIENTATION_TAG] = value
    return plain.tobytes().removeprefix(_EXIF_HEAD)
