from pathlib import Path

import pytest

from ensemble import predict
from ensemble.prediction.digest import panel_digest
from ensemble.prediction.worker import Job
from mire.cli import run
from mire.settings import load_settings

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


def test_what_the_panel_was_trained_with_stays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(predict, [*USUAL, "--out", str(tmp_path / "o.csv"), "--set", "seed=8"]) == 1
    assert capsys.readouterr().err.startswith(
        "error: --set seed: a panel predicts with the settings that it was trained"
    )


def test_an_override_reaches_the_worker_and_the_digest_of_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("ensemble.panel.Panel.load", lambda *arguments: asked.append(arguments))
    Job(Path("p"), ("image",), ("qwen2vl.dtype=bfloat16",)).worker()
    assert asked == [(Path("p"), ("image",), ("qwen2vl.dtype=bfloat16",))]

    def digest(*overrides: str) -> str:
        return panel_digest(load_settings("nano", overrides), "panel", "cpu")

    assert digest() == digest("qwen2vl.input_workers=3") != digest("qwen2vl.dtype=bfloat16")
