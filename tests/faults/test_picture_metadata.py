"""Sound pixels are used whatever stands beside them in the file; of the metadata only the orientation counts."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mire.images import load_image, picture_problem, picture_size

ORIENTATION, X_RESOLUTION, RESOLUTION_UNIT, SUB_IFD = 0x0112, 0x011A, 0x0128, 0x8769
SHORT, LONG, RATIONAL, ASCII, FLOAT, UNKNOWN = 3, 4, 5, 2, 11, 99


def left_red() -> Image.Image:
    """40x60, red on the left, blue on the right, green along the top: every turn of it looks different."""
    picture = Image.new("RGB", (40, 60), "blue")
    picture.paste("red", (0, 0, 20, 60))
    picture.paste("green", (0, 0, 40, 10))
    return picture


def exif(*entries: tuple[int, int, int, bytes], tail: bytes = b"") -> bytes:
    """A block of tags (tag, type, count, four bytes of value or offset) and what follows it."""
    body = b"".join(struct.pack(">HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"MM\0*" + struct.pack(">IH", 8, len(entries)) + body + bytes(4) + tail


TURNED = (ORIENTATION, SHORT, 1, b"\0\6\0\0")
AT_TAIL = struct.pack(">I", 8 + 2 + 3 * 12 + 4)
BLOCKS = {
    "a rational of nothing by nothing": exif(
        TURNED, (X_RESOLUTION, RATIONAL, 1, AT_TAIL), (RESOLUTION_UNIT, SHORT, 1, b"\0\2\0\0"), tail=bytes(8)
    ),
    "a resolution that is text": exif(
        TURNED, (X_RESOLUTION, ASCII, 3, b"72\0\0"), (RESOLUTION_UNIT, SHORT, 1, b"\0\3\0\0")
    ),
    "a resolution that is a float": exif(
        TURNED, (X_RESOLUTION, FLOAT, 1, struct.pack(">f", 72.5)), (RESOLUTION_UNIT, FLOAT, 1, struct.pack(">f", 2))
    ),
    "an unknown type": exif(TURNED, (X_RESOLUTION, UNKNOWN, 1, bytes(4))),
    "an offset beyond the end": exif(TURNED, (X_RESOLUTION, RATIONAL, 1, b"\xff\xff\xff\0")),
    "a directory inside that points to itself": exif(TURNED, (SUB_IFD, LONG, 1, struct.pack(">I", 8))),
    "a directory inside that is text": exif(TURNED, (SUB_IFD, ASCII, 4, b"abc\0")),
    "more entries than bytes": exif(TURNED)[:8] + b"\0\xff" + exif(TURNED)[10:],
}
UNREADABLE = {
    "nothing": b"",
    "garbage": bytes(range(1, 200)),
    "half a head": b"MM\0*\0\0",
    "a directory beyond the end": b"MM\0*\xff\xff\xff\0",
    "a turn that is text": exif((ORIENTATION, ASCII, 4, b"abc\0")),
    "a turn that is a rational": exif((ORIENTATION, RATIONAL, 1, struct.pack(">I", 26)), tail=bytes(8)),
    "a turn of 99": exif((ORIENTATION, SHORT, 1, b"\0\x63\0\0")),
}


def jpeg(block: bytes, **options: object) -> bytes:
    """The block as it stands in an APP1 segment: Pillow would refuse to write some."""
    file = io.BytesIO()
    left_red().save(file, "JPEG", quality=95, **options)
    body = b"Exif\0\0" + block
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body + file.getvalue()[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes, at_the_end: bool = False) -> bytes:
    """A PNG with further chunks after its head, or before its end."""
    file = io.BytesIO()
    left_red().save(file, "PNG")
    place = -12 if at_the_end else 33
    content = file.getvalue()
    return content[:place] + b"".join(chunks) + content[place:]


def webp(block: bytes) -> bytes:
    file = io.BytesIO()
    left_red().save(file, "WEBP", lossless=True, exif=block)
    return file.getvalue()


WRITERS: dict[str, Callable[[bytes], bytes]] = {
    "jpg": jpeg, "png": lambda block: png(chunk(b"eXIf", block)), "webp": webp,
}  # fmt: skip


def close(picture: Image.Image, expected: Image.Image) -> bool:
    """Whether they are of one size and differ by no more than JPEG's loss at the edges."""
    if picture.size != expected.size:
        return False
    difference = np.abs(np.asarray(picture).astype(int) - np.asarray(expected).astype(int))
    return float(difference.mean()) < 8


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", BLOCKS)
def test_a_readable_turn_is_made_whatever_else_is_broken(tmp_path: Path, suffix: str, name: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(WRITERS[suffix](BLOCKS[name]))
    assert picture_problem(path) is None
    assert close(load_image(path), left_red().transpose(Image.Transpose.ROTATE_270))


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_turn_is_passed_over(tmp_path: Path, suffix: str, name: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(WRITERS[suffix](UNREADABLE[name]))
    assert picture_problem(path) is None
    assert close(load_image(path), left_red())


LARGE_TEXT = b"Comment\0\0" + zlib.compress(bytes(2_000_000))
TEXTS = {
    "a text of two million characters": chunk(b"zTXt", LARGE_TEXT),
    "a text that is not compressed": chunk(b"zTXt", b"Comment\0\0no zlib"),
    "a text in an unknown way": chunk(b"zTXt", b"Comment\0\x07" + zlib.compress(b"a")),
    "a translated text without its parts": chunk(b"iTXt", b"Comment"),
    "a profile that is none": chunk(b"iCCP", b"profile"),
    "a resolution cut off": chunk(b"pHYs", b"\0\0"),
    "a wrong sum": chunk(b"tEXt", b"Comment\0a")[:-1] + b"?",
    "an animation without frames": chunk(b"acTL", b"\0"),
}


@pytest.mark.parametrize("at_the_end", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_texts_of_a_png_cost_no_pixel(tmp_path: Path, name: str, at_the_end: bool) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(chunk(b"eXIf", exif(TURNED)), TEXTS[name], at_the_end=at_the_end))
    assert picture_problem(path) is None
    assert picture_size(path) == (40, 60)
    assert close(load_image(path), left_red().transpose(Image.Transpose.ROTATE_270))


@pytest.mark.parametrize(
    ("marker", "body"), [(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\xff"), (0xE2, b"MPF\0II"), (0xE0, b"JFIF\0")]
)
def test_other_segments_of_a_jpeg_cost_no_pixel(tmp_path: Path, marker: int, body: bytes) -> None:
    whole = jpeg(exif(TURNED))
    path = tmp_path / "a.jpg"
    path.write_bytes(whole[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + whole[2:])
    assert close(load_image(path), left_red().transpose(Image.Transpose.ROTATE_270))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_every_turn_is_the_one_that_pillow_makes(tmp_path: Path, kind: str, turn: int) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = turn
    path = tmp_path / "a"
    left_red().save(path, kind, exif=tags)
    with Image.open(path) as picture:
        expected = ImageOps.exif_transpose(picture).convert("RGB")
    assert np.array_equal(np.asarray(load_image(path)), np.asarray(expected))


def test_half_a_picture_is_still_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.effect_noise((80, 80), 60).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Exception, match=r"picture 'a\.png' cannot be read: "):
        load_image(path)


def test_pillow_warns_nobody(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    from mire.cli import start_process

    with warnings.catch_warnings():
        start_process()
        for name, block in (BLOCKS | UNREADABLE).items():
            path = tmp_path / "a.jpg"
            path.write_bytes(jpeg(block))
            load_image(path)
            assert not recwarn.list, name
