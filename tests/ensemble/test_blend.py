"""``mire blend``, from its arguments to its files."""

from pathlib import Path

import pytest

from ensemble import blend
from ensemble.prediction.submission import read_submission
from ensemble.voting.distributions import read_distributions
from mire.cli import run


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, rows in {"x": "007,image,0.9,0.1\n8,image,0.1,0.9", "y": "8,image,0.2,0.8\n007,image,0.2,0.8"}.items():
        (tmp_path / f"{name}.csv").write_text(f"id,task,image/a,image/b\n{rows}\n", encoding="utf-8")
    return [str(tmp_path / "x.csv"), str(tmp_path / "y.csv")]


def test_a_submission_and_its_probabilities(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, own = tmp_path / "o.csv", tmp_path / "p.csv"
    assert run(blend, [*files, "--out", str(out), "--probabilities", str(own)]) == 0
    said = capsys.readouterr()
    assert "the plain mean of the files" in said.out
    assert said.err.endswith(f"written: {out}, {own}\n")
    assert out.read_text(encoding="utf-8-sig") == "id,predict\n007,a\n8,b\n"
    assert read_submission(own) == read_submission(out)
    assert read_distributions(own)[1]["007"].probabilities == pytest.approx({"a": 0.55, "b": 0.45})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x.csv --out o.csv", "a blend is of two files or more, got x.csv only"),
        ("x.csv y.csv --to z.csv w.csv --out o.csv", "--to goes with --truth"),
        ("x.csv y.csv --truth t.json --to z.csv --out o.csv", "names one file for each FILE, in the same order"),
        ("a b c d e f g --truth t.json --out o.csv", "weights are fitted for at most 6 files; blend fewer, or leave"),
        ("x.csv ./x.csv --out o.csv", "x.csv is named twice"),
        ("x.csv y.csv --out y.csv", "y.csv is named twice; every file that is read or written needs a name of its own"),
    ],
)
def test_options_that_contradict_each_other(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(blend, line.split())
    assert words in capsys.readouterr().err
