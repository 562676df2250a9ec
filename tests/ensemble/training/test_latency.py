import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from fakes import FakeVoter, image_panel

from ensemble.training.model_card import N_TIMED, measure_latency_ms
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.votes import Vote


@dataclass
class SlowVoter(FakeVoter):
    """Takes 300 ms over its first sample, 10 ms over each other one; remembers where it would keep things."""

    now: float = 0.0

    caches: list[str | None] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        self.caches.append(os.environ.get("MIRE_CACHE"))
        self.now += 0.01 * len(samples) if self.asked else 0.3
        self.asked.append(len(samples))
        return super().vote(samples)


def timed(n: int, monkeypatch: pytest.MonkeyPatch) -> tuple[float, SlowVoter]:
    voter = SlowVoter("a", {})
    monkeypatch.setattr("ensemble.training.model_card.time", SimpleNamespace(monotonic=lambda: voter.now))
    samples = [Sample(str(number), parse_prompt("<image>")) for number in range(n)]
    return measure_latency_ms(image_panel(voter).tasks["image"], samples)["a"], voter


def test_the_first_sample_warms_up_and_only_some_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRE_CACHE", "/kept")
    milliseconds, voter = timed(100, monkeypatch)
    assert voter.asked == [1, N_TIMED]
    assert milliseconds == 10
    assert "/kept" not in voter.caches and os.environ["MIRE_CACHE"] == "/kept"


def test_a_single_sample_is_timed_when_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRE_CACHE", raising=False)
    milliseconds, voter = timed(1, monkeypatch)
    assert voter.asked == [1, 1]
    assert milliseconds == 10
    assert "MIRE_CACHE" not in os.environ
