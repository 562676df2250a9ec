import warnings
from types import ModuleType, SimpleNamespace

import pytest

from ensemble.prediction.progress import Progress, _clock
from mire.cli import run, say, start_process


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (309, "5:09"), (3909, "1:05:09")])
def test_clock(seconds: float, shown: str) -> None:
    assert _clock(seconds) == shown


def test_plain_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start_process()
    moments = iter([0.0, 10.0, 30.0])
    monkeypatch.setattr("ensemble.prediction.progress.time", SimpleNamespace(monotonic=lambda: next(moments)))
    progress = Progress(100, done=20)
    progress.add(20)
    progress.add(40)
    # 20 in 10 s, 60 left; then 60 in 30 s, 20 left: what was done before counts for no rate
    assert capsys.readouterr().err.splitlines() == [
        "40/100 samples, 2.0 a second, 0:30 left",
        "80/100 samples, 2.0 a second, 0:10 left",
    ]


def test_quiet_says_nothing_but_errors(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from mire.errors import DataError

    monkeypatch.setenv("MIRE_QUIET", "")  # put back afterwards

    def execute(options: object) -> None:
        say("hello")
        Progress(10).add(10)
        raise DataError("broken")

    door = ModuleType("door")
    door.add_arguments, door.execute = lambda parser: None, execute
    assert run(door, ["--quiet"]) == 1
    assert capsys.readouterr().err == "error: broken\n"


def test_libraries_warn_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRE_VERBOSE", "")  # put back afterwards
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "error")
    door = ModuleType("door")
    door.add_arguments = lambda parser: None
    door.execute = lambda options: warnings.warn("a library's", UserWarning, stacklevel=1)
    with warnings.catch_warnings(record=True) as seen:
        assert run(door, []) == 0 and not seen
        assert run(door, ["--verbose"]) == 0
    assert [str(warning.message) for warning in seen] == ["a library's"]
