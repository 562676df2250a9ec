import io
import struct
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")

from ensemble.serve.limits import RefusedError
from ensemble.serve.page.archive import unpack_pictures, unpacked_bytes
from mire.plain_files import MAX_LIST_BYTES

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


def zipped(folder: Path, **members: bytes) -> Path:
    path = folder / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def out(folder: Path) -> Path:
    target = folder / "out"
    target.mkdir()
    return target


def test_files_keep_their_names_and_one_common_folder_is_left_out(tmp_path: Path) -> None:
    target = out(tmp_path)
    assert (
        unpack_pictures(zipped(tmp_path, **{"images/a.png": PNG, "images/b/c.png": PNG + b"2"}), target, max_bytes=99)
        == 2
    )
    assert (target / "a.png").read_bytes() == PNG
    assert (target / "b" / "c.png").read_bytes() == PNG + b"2"


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "a/../../out.png"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="does not lie inside the picture folder"):
        unpack_pictures(zipped(tmp_path, **{name: b"1", "b.png": b""}), out(tmp_path), max_bytes=9)
    assert not (tmp_path / "out.png").exists()


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    target = out(tmp_path)
    with pytest.raises(RefusedError, match="may unpack to 100000 files and 1000 bytes"):
        unpack_pictures(zipped(tmp_path, **{"a.png": bytes(1001)}), target, max_bytes=1000)
    assert not list(target.iterdir())


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.zip"
    path.write_bytes(io.BytesIO(b"no zip").getvalue())
    with pytest.raises(RefusedError, match="cannot be unpacked"):
        unpack_pictures(path, out(tmp_path), max_bytes=9)


def test_a_broken_stream_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(5000))
    data = bytearray(path.read_bytes())
    start = 30 + len("a.png")
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.raises(RefusedError, match="cannot be unpacked: Error -3 while decompressing data"):
        unpack_pictures(path, out(tmp_path), max_bytes=9999)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"1")
        archive.writestr("a.png", b"2")
    with pytest.raises(RefusedError, match="holds one name twice"):
        unpack_pictures(path, out(tmp_path), max_bytes=9)


def test_what_no_decoder_of_the_service_reads_is_emptied(tmp_path: Path) -> None:
    target = out(tmp_path)
    members = {"a.tiff": b"II*\0", "b.gif": b"GIF89a", "c.jpg": JPEG, "d.jpg": JPEG + b"\xff\xda" * 201, "e.png": b""}
    assert unpack_pictures(zipped(tmp_path, **members), target, max_bytes=9999) == 5
    assert {path.name: path.read_bytes() for path in target.iterdir() if path.stat().st_size} == {"c.jpg": JPEG}


def test_a_very_long_list_of_members_is_not_read(tmp_path: Path) -> None:
    """The end record says how long the list is; zipfile would read it at once."""
    path = zipped(tmp_path, **{"a.png": PNG})
    data = bytearray(path.read_bytes())
    end = data.rfind(b"PK\5\6")
    n_bytes = MAX_LIST_BYTES + 1
    data[end + 12 : end + 16] = struct.pack("<I", n_bytes)
    data[end:end] = bytes(n_bytes)
    path.write_bytes(data)
    with pytest.raises(RefusedError, match="its list of files takes 12582913 bytes, at most 12582912 are read"):
        unpacked_bytes(path, max_bytes=99)


def test_deep_folders_and_strange_packings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="folders may lie 16 deep"):
        unpacked_bytes(zipped(tmp_path, **{"a/" * 17 + "b.png": PNG}), max_bytes=99)
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as strange:
        strange.writestr("a.png", PNG)
    with pytest.raises(RefusedError, match="must be stored or deflated"):
        unpacked_bytes(tmp_path / "lzma.zip", max_bytes=99)


def test_the_announced_bytes_are_added(tmp_path: Path) -> None:
    assert unpacked_bytes(zipped(tmp_path, **{"a.png": bytes(30), "b.png": bytes(12)}), max_bytes=42) == 42
    with pytest.raises(RefusedError, match="may unpack to 100000 files and 41 bytes"):
        unpacked_bytes(tmp_path / "pictures.zip", max_bytes=41)


def test_a_refusal_names_no_folder_of_the_server(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="the pictures' zip cannot be unpacked: File name too long$"):
        unpack_pictures(zipped(tmp_path, **{"x" * 300: b""}), out(tmp_path), max_bytes=1000)
