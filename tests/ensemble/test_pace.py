import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from fakes import FakeVoter, image_panel

from ensemble.pace import N_TIMED, pace
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.votes import Vote


@dataclass
class SlowVoter(FakeVoter):
    """Takes a while over its first sample, 10 ms over each other one; remembers where it would keep things."""

    caches: list[str | None] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        self.caches.append(os.environ.get("MIRE_CACHE"))
        time.sleep(0.01 * len(samples) if self.asked else 0.3)
        self.asked.append(len(samples))
        return super().vote(samples)


def timed(n: int) -> tuple[float, SlowVoter]:
    voter = SlowVoter("a", {})
    samples = [Sample(str(number), parse_prompt("<image>")) for number in range(n)]
    return pace(image_panel(voter).tasks["image"], samples)["a"], voter


def test_the_first_sample_warms_up_and_only_some_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRE_CACHE", "/kept")
    milliseconds, voter = timed(100)
    assert voter.asked == [1, N_TIMED]
    assert 10 <= milliseconds < 30
    assert "/kept" not in voter.caches and os.environ["MIRE_CACHE"] == "/kept"


def test_a_single_sample_is_timed_when_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRE_CACHE", raising=False)
    milliseconds, voter = timed(1)
    assert voter.asked == [1, 1]
    assert 10 <= milliseconds < 200
    assert "MIRE_CACHE" not in os.environ
