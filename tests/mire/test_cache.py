from pathlib import Path

import pytest

from mire.cache import BlobCache, cache_root


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRE_CACHE", str(tmp_path / "cache"))


def test_what_was_put_is_found_by_another_instance() -> None:
    BlobCache("a").put_many({"x": b"1", "y": b"2"})
    BlobCache("a").put_many({"y": b"3"})
    assert BlobCache("a").get_many(["x", "y", "z"]) == {"x": b"1", "y": b"3"}
    assert BlobCache("b").get_many(["x"]) == {}


def test_reading_creates_nothing() -> None:
    BlobCache("a").get_many(["x"])
    assert not cache_root().exists()


def test_nobody_else_can_read_it() -> None:
    BlobCache("a").put_many({"x": b"1"})
    (file,) = cache_root().iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
