"""The reasons behind a mistake, from voters and a reader that are told what to say."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from evidence import evidence
from fakes import FakeVoter

from ensemble.evaluation.mistakes import N_MISTAKES, mistakes
from experts.screen_text import reader


@dataclass
class Wordy(FakeVoter):
    def explain(self, samples: list) -> list:
        return [[(f"word of {sample.id}", 0.12345)] for sample in samples]

    def label_words(self) -> dict:
        return {}


def test_the_surest_come_first_with_their_words() -> None:
    part = replace(evidence(clip_lightgbm=(1, 0, 1, 0)), voters=(Wordy("clip_lightgbm", {}),))
    pooled = np.full((4, 23), 0.01)
    pooled[0, 1], pooled[3, 0] = 0.5, 0.75
    found = mistakes(part, pooled, np.array([1, 0, 1, 0]))
    assert [(case.id, case.probability) for case in found] == [("3", 0.75), ("0", 0.5)]
    assert found[0].words == {"clip_lightgbm": (("word of 3", 0.123),)}
    assert next(label for label, _ in found[0].votes["clip_lightgbm"]) == found[0].predict == part.taxonomy.labels[0]
    assert found[0].label == part.taxonomy.labels[1]
    assert found[0].read == ()


def test_the_list_is_capped() -> None:
    part = evidence(clip_lightgbm=(1, 1, 0, 0))
    assert len(mistakes(part, np.full((4, 23), 1 / 23), np.array([1, 1, 0, 0]))) == 4 <= N_MISTAKES


def test_the_text_that_was_read_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    box = reader.Box("同意退款", 0.9, 0, 0, 1, 0.1)
    monkeypatch.setattr(
        reader.Reader, "read", lambda self, paths: {path: reader.Reading(1, 1, (box,), ()) for path in paths}
    )
    part = evidence(screen_text=(1, 0, 1, 1))
    part = replace(part, samples=tuple(replace(sample, images=(Path("a.png"),)) for sample in part.samples))
    found = mistakes(part, np.full((4, 23), 1 / 23), np.array([1, 0, 1, 1]))
    assert [case.read for case in found] == [("同意退款",)]
