"""A library that this machine lacks is told as such, never as a damaged panel."""

from pathlib import Path

import pytest

from ensemble import panel
from mire.errors import PanelError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("libgomp.so.1: cannot open shared object file: No such file or directory"), "libgomp.so.1: cannot"),
        (ImportError("libGL.so.1: cannot open shared object file"), "libGL.so.1: cannot"),
        (ModuleNotFoundError("No module named 'lightgbm'"), "No module named 'lightgbm'"),
    ],
)
def test_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, words: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(panel, "load_voter", fail)
    with pytest.raises(PanelError, match=f"clip_lightgbm cannot run on this machine: {words}"):
        panel.load_sound_voter("clip_lightgbm", tmp_path)


@pytest.mark.parametrize("error", [ValueError("broken"), OSError(2, "No such file"), KeyError("a")])
def test_anything_else_is_the_panels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(panel, "load_voter", fail)
    with pytest.raises(PanelError, match="cannot be read: .*; copy the panel again"):
        panel.load_sound_voter("clip_lightgbm", tmp_path)
