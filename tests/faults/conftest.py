"""A small panel, trained once."""

import signal
from pathlib import Path

import pytest
from bench import Bench

from ensemble import train
from mire.cli import run

CONFIG = """
name: tiny
folds: 2
panel: {image: [clip_lightgbm], dialogue: [dialogue_text]}
clip: {model: mire-nano, weights: random}
"""


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell that starts the tests in the background has them ignore Ctrl-C, and every command would inherit it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def bench(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The tiny set's panel: it answers 24 samples in a second."""
    made = Bench(tmp_path_factory.mktemp("bench"), tiny_set / "train.json", tiny_set / "images")
    config = made.root / "tiny.yaml"
    config.write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRE_CACHE", str(made.root / "cache"))
        usual = ["--data", str(made.data), "--images", str(made.images), "--panel", str(made.panel)]
        assert run(train, ["all", *usual, "--config", str(config)]) == 0
    return made
