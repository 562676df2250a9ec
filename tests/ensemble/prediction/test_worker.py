"""A worker over a panel of fake voters."""

import pytest
from fakes import FakeVoter, image_panel

from ensemble.prediction.worker import KeptAnswer, Worker
from ensemble.prediction.workload import Chunk
from mire.labels import builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample

LABELS = builtin_taxonomy("image").labels


def test_a_chunk_is_answered_for_its_task_without_routing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(prompt: object) -> None:
        raise AssertionError("a chunk's samples were routed when the workload was read")

    monkeypatch.setattr("ensemble.panel.route", refuse)
    worker = Worker(image_panel(FakeVoter("a", {"s": "购物车页面"})))
    answered = worker.answer(Chunk("image", (Sample("s", parse_prompt("")),), {}))
    assert answered.seconds.keys() == {"image a"}
    # the voter gives 0.8 to its label, and 0.2 to the other 22
    assert answered.answers == {
        "s": KeptAnswer(
            label="购物车页面",
            problems=("there is no picture",),
            n_calls=1,
            n_output_tokens=10,
            margin=pytest.approx(0.8 - 0.2 / 22),
            probability=pytest.approx(0.8),
            second="实物拍摄(含售后)",
            probabilities=pytest.approx([0.8 if label == "购物车页面" else 0.2 / 22 for label in LABELS]),
        )
    }
