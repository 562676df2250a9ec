import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from records import dialogue_instruction, image_instruction

from ensemble.evaluation.held_out_votes import HeldOutVotes
from ensemble.evaluation.label_issues import audit, precision, render, write_audit
from ensemble.voting.weights import VoterWeight, Weights
from mire.budget import Cost
from mire.labels import builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.votes import Vote

TAXONOMY = builtin_taxonomy("image")
LIVE = TAXONOMY.labels
PAYMENT = LIVE.index("支付页面")


def evidence(given: list[int], voted: list[int]) -> HeldOutVotes:
    """Samples with a given label each, and one voter that says 0.9 to another or the same."""
    samples = tuple(
        Sample(id=f"s{row}", prompt=parse_prompt(image_instruction()), label=LIVE[label])
        for row, label in enumerate(given)
    )
    rest = 0.1 / (len(LIVE) - 1)
    chances = np.full((len(given), len(LIVE)), rest) + (0.9 - rest) * np.eye(len(LIVE))[voted]
    votes = [
        Vote("clip_lightgbm", sample.id, tuple(row)) for sample, row in zip(samples, chances.tolist(), strict=True)
    ]
    weights = Weights(voters={"clip_lightgbm": VoterWeight()})
    return HeldOutVotes(
        task="image", taxonomy=TAXONOMY, samples=samples, truth=np.array(given), votes={"clip_lightgbm": votes},
        costs={"clip_lightgbm": Cost(1, 10)}, out_of_fold=True, weights=lambda _: [(np.arange(len(given)), weights)],
    )  # fmt: skip


def test_labels_that_the_votes_contradict_are_doubted_and_no_others() -> None:
    given = [label for label in range(6) for _ in range(8)]
    voted = given.copy()
    voted[3] = 5
    doubts = audit(evidence(given, voted))
    assert [doubt.id for doubt in doubts] == ["s3"]
    assert doubts[0].label == LIVE[0]
    assert doubts[0].guesses[0] == (LIVE[5], pytest.approx(0.9))
    assert doubts[0].quality == pytest.approx(0.1 / 22)


def test_the_precision_of_a_list_is_that_of_random_flips() -> None:
    # a panel that agrees with every label lists the flips and nothing else
    given = [label for label in range(6) for _ in range(10)]
    assert precision(evidence(given, given)) == 1
    # where it contradicts six labels, at most 3 of 9 listed ones are flips
    voted = [(label + 1) % 6 if row % 10 == 0 else label for row, label in enumerate(given)]
    assert 0 < precision(evidence(given, voted)) < 1 / 3


def test_the_page_says_how_far_to_believe_the_list() -> None:
    assert "about 3 of 10 listed labels are flipped ones" in render({"image": []}, {"image": 5}, {"image": 0.31})


def test_a_label_by_convention_is_listed_apart_with_the_convention() -> None:
    given = [PAYMENT] * 8 + [0] * 8
    voted = [0] + [PAYMENT] * 7 + [PAYMENT] + [0] * 7
    doubts = audit(evidence(given, voted))
    assert {doubt.label: bool(doubt.convention) for doubt in doubts} == {"支付页面": True, LIVE[0]: False}
    page = render({"image": doubts}, {"image": 16})
    opened, kept = page.split("Given by a convention: probably right")
    assert "id s8" in opened and "id s0" not in opened
    assert "id s0" in kept and "已付 or 费用明细" in kept


def test_the_page_escapes_what_shoppers_write() -> None:
    part = evidence([0] * 8 + [1] * 8, [1] + [0] * 7 + [1] * 8)
    (doubt,) = audit(part)
    hostile = type(doubt)(**{**vars(doubt), "turns": (("user", "<script>alert(1)</script>"),)})
    assert "<script>" not in render({"image": [hostile]}, {"image": 16})


def test_both_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = evidence([0] * 8 + [1] * 8, [1] + [0] * 7 + [1] * 8)
    monkeypatch.setattr("mire.panel_folder.PanelFolder.taxonomies", lambda self: {})
    monkeypatch.setattr("ensemble.evaluation.label_issues.collect_held_out_votes", lambda samples, panel: [part])
    write_audit(list(part.samples), tmp_path, tmp_path / "out")
    listed = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    assert [entry["id"] for entry in listed] == ["s0"]
    assert "id s0" in (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")


def test_a_page_and_its_json_hold_no_number_of_a_customer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = evidence([0] * 8 + [1] * 8, [1] + [0] * 7 + [1] * 8)
    prompt = parse_prompt(dialogue_instruction("用户: 打13812345678"))
    part = replace(part, samples=tuple(replace(sample, prompt=prompt) for sample in part.samples))
    monkeypatch.setattr("mire.panel_folder.PanelFolder.taxonomies", lambda self: {})
    monkeypatch.setattr("ensemble.evaluation.label_issues.collect_held_out_votes", lambda samples, panel: [part])
    write_audit(list(part.samples), tmp_path, tmp_path / "out")
    for name in ("audit.json", "audit.html"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert "打[phone]" in text and "1381" not in text
    write_audit(list(part.samples), tmp_path, tmp_path / "out", hide=str)
    assert "打13812345678" in (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
