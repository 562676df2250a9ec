"""Zips as other systems write them hold the same pictures as a plain one."""

import logging
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from records import png

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")

from ensemble.serve.limits import RefusedError
from ensemble.serve.page.archive import unpack_pictures
from mire.errors import DataError
from mire.images import resolve_image

PICTURE = png()


def raw_zip(path: Path, members: dict[bytes, bytes], *, flags: int = 0) -> Path:
    """A zip with names as bytes, which the library would not write."""
    body, listed = b"", b""
    for name, content in members.items():
        fields = struct.pack("<HHHHHIIIHH", 20, flags, 0, 0, 33, zlib.crc32(content), *[len(content)] * 2, len(name), 0)
        listed += b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\3\4" + fields + name + content
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(listed), len(body), 0)
    path.write_bytes(body + listed + b"PK\5\6" + end)
    return path


def unpacked(archive: Path) -> dict[str, bytes]:
    folder = archive.parent / "out"
    folder.mkdir()
    n_files = unpack_pictures(archive, folder, max_bytes=1000)
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(found) == n_files
    return found


def written(folder: Path, *names: str) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, PICTURE)
    return path


@pytest.mark.parametrize(
    "names",
    [
        ("images/a.png", "images/.DS_Store", "__MACOSX/images/._a.png", "__MACOSX/._images"),
        ("a.png", "__MACOSX/._a.png"),
        ("images/a.png", "images/Thumbs.db", "desktop.ini"),
        ("images/a.png", "images/._a.png", "Thumbs.db"),
    ],
)
def test_what_systems_add_is_left_out_and_named(
    tmp_path: Path, names: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert unpacked(written(tmp_path, *names)) == {"a.png": PICTURE}
    (line,) = caplog.messages
    assert line.startswith(f"{len(names) - 1} files of the zip are its system's own and not used: ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("截图1.png".encode("gbk"), "截图1.png"),
        ("图片/退款页面.png".encode("gbk"), "退款页面.png"),
        ("截图.png".encode(), "截图.png"),
        ("囍㐀.png".encode("gb18030"), "囍㐀.png"),
        ("café.png".encode("cp437"), "café.png"),
        (b"plain.png", "plain.png"),
    ],
)
def test_names_of_windows_are_read(tmp_path: Path, name: bytes, expected: str) -> None:
    assert unpacked(raw_zip(tmp_path / "a.zip", {name: PICTURE})) == {expected: PICTURE}


def test_names_that_are_marked_as_utf8_are(tmp_path: Path) -> None:
    assert unpacked(raw_zip(tmp_path / "a.zip", {"截图.png".encode(): PICTURE}, flags=0x800)) == {"截图.png": PICTURE}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([rb"images\a.png", rb"images\b.png"], {"a.png", "b.png"}),
        ([rb"images\shop\a.png", rb"images\b.png"], {"shop/a.png", "b.png"}),
        (["图片\\截图.png".encode("gbk"), b"b.png"], {"图片/截图.png", "b.png"}),
    ],
)
def test_backslashes_separate_folders(tmp_path: Path, names: list[bytes], expected: set[str]) -> None:
    archive = raw_zip(tmp_path / "a.zip", {b"images\\": b""} | dict.fromkeys(names, PICTURE))
    assert unpacked(archive).keys() == expected


@pytest.mark.parametrize("name", [rb"..\out.png", rb"a\..\..\out.png", rb"\out.png", rb"\\host\share\out.png"])
def test_backslashes_lead_nowhere(tmp_path: Path, name: bytes) -> None:
    archive = raw_zip(tmp_path / "a.zip", {name: PICTURE, b"b.png": PICTURE})
    with pytest.raises(RefusedError, match="does not lie inside the picture folder"):
        unpacked(archive)
    assert not (tmp_path / "out.png").exists()


def test_broken_contents_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(range(256)))
    content = bytearray(path.read_bytes())
    content[40:60] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(RefusedError, match="cannot be unpacked"):
        unpacked(path)


def test_data_files_of_windows_name_the_same_pictures(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.png").write_bytes(PICTURE)
    assert resolve_image(tmp_path, "shop\\a.png") == tmp_path / "shop" / "a.png"
    (tmp_path / "shop\\a.png").write_bytes(b"2")
    assert resolve_image(tmp_path, "shop\\a.png") == tmp_path / "shop\\a.png"
    for name in ("..\\a.png", "shop\\..\\..\\a.png"):
        with pytest.raises(DataError, match="does not lie inside"):
            resolve_image(tmp_path, name)


@pytest.mark.parametrize(("target", "inside"), [("blobs/1f", True), ("blobs/sub/2e", True), ("other", False)])
def test_a_hub_snapshot_may_link_to_its_blobs(tmp_path: Path, target: str, inside: bool) -> None:
    repository = tmp_path / "datasets--me--shop"
    images = repository / "snapshots" / "0a1b" / "images"
    images.mkdir(parents=True)
    (repository / target).parent.mkdir(parents=True, exist_ok=True)
    (repository / target).write_bytes(PICTURE)
    (images / "a.png").symlink_to(repository / target)
    if inside:
        assert resolve_image(images, "a.png").read_bytes() == PICTURE
    else:
        with pytest.raises(DataError, match="does not lie inside"):
            resolve_image(images, "a.png")
