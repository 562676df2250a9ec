"""Answers without any vote: given, marked, and never kept, so that a repaired machine gives better ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeVoter, image_panel
from records import image_instruction

from ensemble.prediction.engines import Local
from ensemble.prediction.runner import RunSummary, run_workload, submission_lines
from ensemble.prediction.submission import SubmissionLine
from ensemble.prediction.worker import Worker
from ensemble.prediction.workload import Workload
from mire.journal import Journal

IDS = [f"s{number}" for number in range(8)]
CART, SHOP = "购物车页面", "店铺页面"


class BrokenVoter(FakeVoter):
    """Fails on every sample that it is not to answer."""

    def vote(self, samples: Any) -> Any:
        if any(sample.id not in self.answers for sample in samples):
            raise RuntimeError("as if a library were half installed")
        return super().vote(samples)


def answered(data: Path, journal: Path, voter: FakeVoter) -> tuple[list[SubmissionLine], int, set[str]]:
    """A run's lines, the number of degraded ones, and the ids that the next run will find."""
    with (
        Workload.read(data, data.parent, max_decoded_pixels=10**6) as work,
        Journal(journal).opened() as kept,
    ):
        run_workload(work, Local(Worker(image_panel(voter))), kept, "panel", strict=False)
        summary = RunSummary()
        lines = list(submission_lines(work, kept, "panel", summary))
        (fingerprints,) = work.fingerprints("panel")
    with Journal(journal).opened() as kept:
        return (
            lines,
            sum("no voter voted" in " ".join(why) for why in summary.degraded.values()),
            {*kept.finished(fingerprints)},
        )


@pytest.mark.parametrize("kind", [FakeVoter, BrokenVoter])
@pytest.mark.parametrize("n_voted", [0, 3, 7])
def test_the_next_run_answers_again_what_nobody_voted_on(tmp_path: Path, kind: type[FakeVoter], n_voted: int) -> None:
    data = tmp_path / "d.json"
    data.write_text(json.dumps([{"id": key, "instruction": image_instruction(), "image": ["x.png"]} for key in IDS]))
    some = kind("a", dict.fromkeys(IDS[:n_voted], SHOP))
    lines, n_without, found = answered(data, tmp_path / "journal", some)
    assert [line.label for line in lines[:n_voted]] == [SHOP] * n_voted
    assert (n_without, found) == (8 - n_voted, set(IDS[:n_voted]))

    repaired = FakeVoter("a", dict.fromkeys(IDS, SHOP))
    lines, n_without, found = answered(data, tmp_path / "journal", repaired)
    assert ({line.label for line in lines}, n_without, found) == ({SHOP}, 0, set(IDS))
    assert lines == answered(data, tmp_path / "undisturbed", repaired)[0]
