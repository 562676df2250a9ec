"""What systems answered: from CSVs, and from panels' held-out votes."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ensemble.comparison.systems import System, _asked, collect_answers
from mire.errors import DataError, MireError, PanelError


def csv_of(path: Path, answers: dict[str, str]) -> Path:
    path.write_text("\n".join(["id,predict", *(f"{key},{label}" for key, label in answers.items())]), encoding="utf-8")
    return path


@pytest.fixture
def truth(tiny_set: Path) -> dict[str, str]:
    records = json.loads((tiny_set / "train.json").read_text(encoding="utf-8"))
    return {record["id"]: record["output"] for record in records}


def test_a_name_and_its_runs(tmp_path: Path) -> None:
    odd = tmp_path / "a=b,c.csv"
    odd.touch()
    assert System.parse(str(odd)) == System(str(odd), (odd,))
    assert System.parse("new=a.csv,b=c.csv") == System("new", (Path("a.csv"), Path("b=c.csv")))
    assert System.parse("none.csv") == System("none.csv", (Path("none.csv"),))


def test_a_panel_is_judged_by_its_out_of_fold_votes(
    tiny_set: Path, tiny_panel: Path, tmp_path: Path, truth: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensemble.panel.Panel.load", lambda *_: pytest.fail("it was trained on these samples"))
    perfect = csv_of(tmp_path / "a.csv", truth)
    systems = [System("csv", (perfect, perfect)), System("panel", (tiny_panel,))]
    found = collect_answers(systems, tiny_set / "train.json", tiny_set / "images")
    assert list(found) == ["image", "dialogue"]
    for part in found.values():
        assert len(part.truth) == 12
        assert part.systems["csv"] == (part.truth, part.truth)
        assert len(part.systems["panel"][0]) == 12 and set(part.systems["panel"][0]) <= set(truth.values())


def test_what_a_panel_does_not_answer_is_left_out_for_all(
    tiny_set: Path, tiny_panel: Path, tmp_path: Path, truth: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ensemble.comparison.systems")
    panel = shutil.copytree(tiny_panel, tmp_path / "panel")
    shutil.rmtree(panel / "image")
    systems = [System("panel", (panel,)), System("csv", (csv_of(tmp_path / "a.csv", truth),))]
    found = collect_answers(systems, tiny_set / "train.json", tiny_set / "images")
    assert list(found) == ["dialogue"]
    assert caplog.messages == ["12 of 24 samples are left out: not every panel has held-out votes on them"]


def test_runs_of_the_same_number_are_asked_the_same() -> None:
    first, second, third = (dict.fromkeys(keys, "x") for keys in ("abc", "bcd", "cde"))
    assert _asked([[first, second], [second, third]]) == [{"b", "c"}, {"c", "d"}]
    assert _asked([[first, second], [third]]) == [{"c"}, {"c"}], "every run is asked what all answer"


def test_what_cannot_be_compared_is_refused(
    tiny_set: Path, tiny_panel: Path, tmp_path: Path, truth: dict[str, str], write_json: Callable[[object], Path]
) -> None:
    def refused(
        message: str, run: Path, kind: type[MireError] = DataError, file: Path = tiny_set / "train.json"
    ) -> None:
        with pytest.raises(kind, match=message):
            collect_answers([System("a", (run,))], file, tiny_set / "images")

    del truth["0003"]
    fewer = csv_of(tmp_path / "fewer.csv", truth)
    refused("fewer.csv must hold exactly the ids of .*train.json; 1 differ", fewer)
    refused("row 26: ids must be unique, '0001' occurs twice", csv_of_lines(fewer, "0003,x\n0001,x"))
    refused("is no panel: settings.json is missing", tmp_path, PanelError)
    shutil.copy(tiny_panel / "settings.json", tmp_path)
    refused("no sample of .*train.json has an answer of every run", tmp_path)
    refused("every sample needs its label", fewer, file=write_json([{"id": "1", "instruction": "x"}]))


def csv_of_lines(path: Path, more: str) -> Path:
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{more}", encoding="utf-8")
    return path
