"""Which votes judge a sample: out-of-fold ones if its content was trained on, whatever its id."""

from dataclasses import replace
from pathlib import Path

import pytest
from records import dialogue_instruction

from ensemble.evaluation.held_out_votes import collect_held_out_votes
from ensemble.panel import by_task
from mire.prompts import parse_prompt
from mire.samples import read_samples


def test_training_samples_under_new_ids_get_their_out_of_fold_votes(
    tiny_set: Path, tiny_panel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensemble.panel.Panel.load", lambda *_: pytest.fail("a voter judges what it was trained on"))
    samples = read_samples(tiny_set / "train.json", tiny_set / "images")
    renamed = [replace(sample, id=f"new {sample.id}") for sample in samples]
    known, found = (collect_held_out_votes(by_task(group), tiny_panel) for group in (samples, renamed))
    assert [(part.out_of_fold, len(part.samples)) for part in found] == [(True, 12), (True, 12)]
    for before, after in zip(known, found, strict=True):
        names = tuple(before.votes)
        assert after.pooled(names).tolist() == before.pooled(names).tolist()


def test_renamed_training_samples_are_left_out_beside_new_ones(tiny_set: Path, tiny_panel: Path) -> None:
    known = next(s for s in read_samples(tiny_set / "train.json", tiny_set / "images") if s.turns)
    stranger = replace(known, id="stranger", prompt=parse_prompt(dialogue_instruction("用户: 春天能穿吗")))
    (found,) = collect_held_out_votes({"dialogue": [replace(known, id="new"), stranger]}, tiny_panel)
    assert [sample.id for sample in found.samples] == ["stranger"]
    assert not found.out_of_fold
