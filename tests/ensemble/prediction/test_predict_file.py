from pathlib import Path

import pytest

from ensemble import predict
from mire.cli import run

USUAL = ["--data", "d", "--images", "i", "--panel", "p", "--out", "o.csv"]


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--engine", "ray", "--devices", "2"], "--devices is for --engine local"),
        (["--workers", "2"], "--address and --workers are for --engine ray"),
        (["--address", "auto"], "--address and --workers are for --engine ray"),
        (["--devices", "0"], "--devices must be at least 1, got 0"),
        (["--engine", "ray", "--workers", "-1"], "--workers must be at least 1, got -1"),
        (["--engine", "dask"], "invalid choice: 'dask'"),
    ],
)
def test_options_that_contradict_each_other(
    extra: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(predict, [*USUAL, *extra])
    assert words in capsys.readouterr().err


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ensemble.prediction.engines.find_spec", lambda name: None)
    assert run(predict, [*USUAL, "--engine", "ray"]) == 1
    assert capsys.readouterr().err == (
        "error: --engine ray needs the package ray: pip install -e '.[ray]' beside setup.cfg\n"
    )
