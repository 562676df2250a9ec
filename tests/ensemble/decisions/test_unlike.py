"""Unlike anything seen: by hand, on inputs made for it, and in what the commands and the service say."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ensemble import predict
from ensemble.classify import Question
from ensemble.decisions.threshold_file import is_unlike, review_reasons
from ensemble.decisions.thresholds import OutOfFoldAnswers, out_of_fold_answers
from ensemble.panel import Panel
from ensemble.serve.answers import answer
from ensemble.serve.metrics import Metrics
from ensemble.serve.page.render import render_answer
from ensemble.serve.page.words import WORDS
from ensemble.voting.fitting import weigh
from ensemble.voting.oof_votes import OutOfFoldVotes, add_votes, read_out_of_fold_votes
from ensemble.voting.weights import VoterWeight, Weights
from mire.budget import Cost
from mire.cli import run
from mire.panel_folder import PanelFolder
from mire.settings import load_settings
from mire.votes import Vote
from scripts.benchmarks.unlike import dialogues


def test_a_familiarity_by_hand() -> None:
    weights = Weights(
        voters={"a": VoterWeight(evidence=(0, 1, 2)), "b": VoterWeight(evidence=(10, 20)), "c": VoterWeight()}
    )
    assert [weights.familiarity({"a": told}) for told in (-1, 0, 0.5, 1, 9)] == [0, 0, 0.25, 0.5, 1]
    assert weights.familiarity({"a": 0.5, "b": 18}) == pytest.approx(0.8)  # to b it looks most known
    assert weights.familiarity({"c": 3.0}) is weights.familiarity({}) is None
    assert Weights(voters={"a": VoterWeight(evidence=(0, 0, 0))}).familiarity({"a": 0}) == 1


def test_reasons_by_hand() -> None:
    assert [is_unlike(share) for share in (None, 0.0, 0.0499, 0.05, 1.0)] == [False, True, True, False, False]
    assert review_reasons(unsure=True, familiarity=0.01) == ("unsure", "unlike")
    assert review_reasons(unsure=False, familiarity=None) == ()


def test_one_of_twenty_known_samples_is_flagged() -> None:
    n = 400
    evidence = {"a": np.random.default_rng(0).normal(size=n)}
    votes = OutOfFoldVotes(
        tuple(map(str, range(n))), np.arange(n) % 2, {"a": np.full((n, 2), 0.5)}, {"a": Cost(0, 0)}, evidence
    )
    settings = load_settings("nano")
    for given in (settings, settings.model_copy(update={"weights": {"image": {"a": 1.0}}})):
        weights = weigh(votes, given, "image")
        flagged = [is_unlike(weights.familiarity({"a": told})) for told in evidence["a"]]
        assert sum(flagged) == 20 and np.sort(evidence["a"])[19] == max(evidence["a"][flagged])


def test_what_is_unlike_is_decided_at_no_threshold() -> None:
    unlike = np.arange(200) < 20
    answers = OutOfFoldAnswers(np.full(200, 0.9), np.zeros(200, dtype=int), ~unlike, unlike)
    found = answers.threshold(precision=0.95)
    assert (found.threshold, found.coverage, found.n) == (0.9, 0.9, 200)
    assert replace(answers, unlike=~np.ones(200, dtype=bool)).threshold(precision=0.95).threshold is None


def test_votes_keep_their_evidence_and_those_of_before_have_none(tiny_panel: Path, tmp_path: Path) -> None:
    panel = PanelFolder(tiny_panel)
    assert read_out_of_fold_votes(panel, "dialogue").evidence["dialogue_text"].shape == (12,)
    taxonomy, file = panel.taxonomy("dialogue"), tmp_path / "votes.json"
    chances = tuple([1.0] + [0.0] * (len(taxonomy.labels) - 1))
    labels = {"1": taxonomy.labels[0], "2": taxonomy.labels[0]}
    for vote in (Vote("v", "1", chances, evidence=0.25), Vote("v", "2", chances)):
        add_votes(file, [vote], labels, taxonomy=taxonomy, cost=Cost(0, 0))
    kept = json.loads(file.read_text())["votes"]
    assert [vote.get("evidence", "none") for vote in kept.values()] == [0.25, "none"]


def test_made_up_dialogues_are_recognised(tiny_panel: Path) -> None:
    panel, made = Panel.load(tiny_panel, ["dialogue"]), [asked for _, asked in dialogues()]
    assert len(made) == 72
    found = panel.classify_many([*made, Question(dialogue=[("user", "这个会生锈吗")])])
    assert np.mean([is_unlike(one.familiarity) for one in found[:-1]]) >= 0.75
    assert not is_unlike(found[-1].familiarity)
    assert out_of_fold_answers(PanelFolder(tiny_panel), "dialogue").unlike.sum() <= 3


def test_small_talk_goes_to_people_by_every_way(tiny_panel: Path, tiny_set: Path, tmp_path: Path) -> None:
    record = json.loads((tiny_set / "train.json").read_text("utf-8"))[3]
    record["instruction"] = record["instruction"].replace("这个会生锈吗", "今天天气真好")
    (tmp_path / "d.json").write_text(json.dumps([record], ensure_ascii=False), "utf-8")
    data = ["--data", str(tmp_path / "d.json"), "--images", str(tmp_path), "--panel", str(tiny_panel)]
    out = [*data, "--out", str(tmp_path / "o.csv"), "--columns", "scores", "--review", str(tmp_path / "queue")]
    assert run(predict, out) == 0
    (row,) = csv.DictReader((tmp_path / "o.csv").open(encoding="utf-8-sig"))
    assert (row["decision"], row["review"], row["familiarity"]) == ("", "1", "0.0")
    (task,) = json.loads((tmp_path / "queue" / "dialogue" / "tasks.json").read_text("utf-8"))
    assert row["reasons"] == task["data"]["reasons"] == "unsure, unlike"


def test_the_service_marks_small_talk_for_people(tiny_panel: Path) -> None:
    panel, metrics = Panel.load(tiny_panel, ["dialogue"]), Metrics(fingerprint="")
    asked = [Question(dialogue=[("user", text)]) for text in ("今天天气真好", "这个会生锈吗")]
    strange, known = panel.classify_many(asked)
    said = answer(strange, panel, None)
    assert (said.decision, said.review, said.reasons, said.familiarity) == ("", True, ["unlike"], 0)
    assert "Unlike anything seen" in render_answer(said, WORDS["en"])
    metrics.count_answer(strange, panel)
    for mark in ("review", "unlike"):
        assert f'mire_marked_answers_total{{mark="{mark}",task="dialogue"}} 1.0' in metrics.text().decode()
    said = answer(known, panel, None)
    assert (said.decision, said.review, said.reasons) == (None, None, [])
    assert "Unlike anything seen" not in render_answer(said, WORDS["en"])


def test_a_panel_without_the_reference_answers_as_before(tiny_panel: Path, tmp_path: Path) -> None:
    panel = Panel.load(tiny_panel, ["dialogue"])
    part = panel.tasks["dialogue"]
    bare = {name: voter.model_copy(update={"evidence": ()}) for name, voter in part.weights.voters.items()}
    old = replace(part, weights=part.weights.model_copy(update={"voters": bare}))
    asked = Question(dialogue=[("user", "今天天气真好")])
    before, now = (replace(panel, tasks={"dialogue": each}).classify_many([asked])[0] for each in (old, part))
    assert before.familiarity is None and is_unlike(now.familiarity)
    assert replace(now, familiarity=None) == before
