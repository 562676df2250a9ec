from types import SimpleNamespace

import pytest

from mire.cli import parser, run, say
from mire.progress import Progress, _clock


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (309, "5:09"), (3909, "1:05:09")])
def test_clock(seconds: float, shown: str) -> None:
    assert _clock(seconds) == shown


def test_plain_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([0.0, 10.0, 30.0])
    monkeypatch.setattr("mire.progress.time", SimpleNamespace(monotonic=lambda: next(moments)))
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

    def main(argv: object) -> None:
        parser("t", "").parse_args(["--quiet"])
        say("hello")
        Progress(10).add(10)
        raise DataError("broken")

    assert run(main) == 1
    assert capsys.readouterr().err == "error: broken\n"
