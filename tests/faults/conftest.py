"""The tiny panel and its data, as the commands are given them."""

import signal
from pathlib import Path

import pytest
from bench import Bench


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell that starts the tests in the background has them ignore Ctrl-C, and every command would inherit it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def bench(tiny_set: Path, tiny_panel: Path) -> Bench:
    """The tiny panel and its data: 24 samples are answered in a second."""
    return Bench(tiny_panel.parent, tiny_set / "train.json", tiny_set / "images")
