"""What each voter adds: every voter alone, every pair, the whole panel, by task and as the mean."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score

from ensemble.evaluation.calibration import calibration_error, coverage, reliability
from ensemble.evaluation.held_out_votes import HeldOutVotes, collect_held_out_votes
from ensemble.evaluation.mistakes import mistakes
from ensemble.evaluation.subset_scores import SubsetScore, contributions, judge, subsets
from ensemble.vote import winners
from mire.errors import DataError
from mire.labels import TASKS, Task, Taxonomy
from mire.metrics import interval
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from router.route import route

logger = logging.getLogger(__name__)


PRICES = ("calls", "output_tokens", "milliseconds")
"""What an answer costs: model calls, output tokens, and time where the panel's card tells it."""


def ablate(samples: Sequence[Sample], root: Path) -> dict[str, Any]:
    """Everything that ``ablation.json`` holds, and the report shows.

    Samples that the router sent to the wrong task are counted under ``router`` and judged nowhere else.

    Raises:
        DataError, PanelError: as ``collect_held_out_votes``; or every sample went to the wrong task.
    """

    folder = PanelFolder(root)
    routed = routing(samples, {task: folder.taxonomy(task) for task in folder.trained_tasks()})
    if routed.misrouted:
        logger.info(f"{len(routed.misrouted)} samples went to the wrong task and are left out of the figures")
    wrong = {sample.id for sample in routed.misrouted}
    if len(wrong) == len(samples):
        raise DataError("the router sent every sample to the other task than its label's: look at the instructions")
    found = collect_held_out_votes([sample for sample in samples if sample.id not in wrong], root)
    evidence = sorted(found, key=lambda part: TASKS.index(part.task))
    judges = {part.task: cache(partial(judge, part)) for part in evidence}
    systems = {part.task: [judges[part.task](names) for names in subsets(tuple(part.votes))] for part in evidence}
    return {
        "configuration": folder.settings().name,
        "router": {"counts": routed.counts, "misrouted": sorted(wrong)},
        "mean": _means(systems),
        "tasks": {
            part.task: _task(part, systems[part.task])
            | {"contributions": contributions(tuple(part.votes), judges[part.task])}
            for part in evidence
        },
    }


def _means(systems: dict[Any, list[SubsetScore]]) -> list[dict[str, Any]]:
    """The mean of both tasks' F1, for the panel and for every voter that answers both."""

    if len(systems) < 2:
        return []
    image, dialogue = systems.values()
    alone = {system.voters: system for system in dialogue}
    pairs = [("panel", image[-1], dialogue[-1])]
    pairs += [("+".join(s.voters), s, alone[s.voters]) for s in image if s.voters in alone and len(s.voters) == 1]
    return [
        {
            "name": name,
            "n": left.figures["n"] + right.figures["n"],
            "f1": (left.figures["f1"] + right.figures["f1"]) / 2,
            **asdict(interval((left.resamples + right.resamples) / 2)),
            **{price: _half(left.figures[price], right.figures[price]) for price in PRICES},
        }
        for name, left, right in pairs
    ]


def _half(left: float | None, right: float | None) -> float | None:
    """The mean price of a sample, as half of the samples belong to either task."""
    return None if left is None or right is None else (left + right) / 2


def _task(evidence: HeldOutVotes, systems: Sequence[SubsetScore]) -> dict[str, Any]:

    labels, truth = evidence.taxonomy.labels, evidence.truth
    pooled = evidence.pooled(systems[-1].voters)
    predicted = winners(pooled)
    places = np.arange(len(labels))
    per_label = f1_score(truth, predicted, labels=places, average=None, zero_division=0.0)
    return {
        "n": len(truth),
        "votes": "out_of_fold" if evidence.out_of_fold else "fresh",
        "systems": [
            {
                "voters": list(system.voters),
                **system.figures,
                "versus_panel": asdict(interval(system.resamples - systems[-1].resamples)),
            }
            for system in systems
        ],
        "calibration": _calibration(evidence, pooled, evidence.pooled(systems[-1].voters, calibrated=False)),
        "weights": [weights.model_dump() for _, weights in evidence.weights(systems[-1].voters)],
        "labels": [
            {
                "name": name,
                "gloss": entry.gloss,
                "n": int((truth == place).sum()),
                "f1": float(per_label[place]),
            }
            for place, (name, entry) in enumerate(
                zip(labels, (entry for entry in evidence.taxonomy.entries if entry.live), strict=True)
            )
        ],
        "confusion": confusion_matrix(truth, predicted, labels=places).tolist(),
        "mistakes": mistakes(evidence, pooled, predicted),
    }


def _calibration(evidence: HeldOutVotes, pooled: NDArray[np.float64], raw: NDArray[np.float64]) -> dict[str, Any]:
    """How far the panel's probabilities can be believed, before the temperatures and after."""

    before, after = reliability(raw, evidence.truth), reliability(pooled, evidence.truth)
    return {
        "error_before": calibration_error(before),
        "error_after": calibration_error(after),
        "before": [asdict(part) for part in before],
        "after": [asdict(part) for part in after],
        "coverage": coverage(pooled, evidence.truth),
    }


@dataclass(frozen=True)
class Routing:
    """``counts[true task][picked task]``, and the samples that went to the wrong one."""

    counts: dict[Task, dict[Task, int]]
    misrouted: tuple[Sample, ...]


def routing(samples: Sequence[Sample], taxonomies: dict[Task, Taxonomy]) -> Routing:
    """Judge the router by the samples' labels; a label of both tasks, or of none, says nothing against it."""
    counts = {true: dict.fromkeys(TASKS, 0) for true in TASKS}
    misrouted: list[Sample] = []
    for sample in samples:
        picked = route(sample.prompt).task
        possible = [task for task, taxonomy in taxonomies.items() if sample.label in taxonomy]
        true = picked if picked in possible or len(possible) != 1 else possible[0]
        counts[true][picked] += 1
        if true != picked:
            misrouted.append(sample)
    return Routing(counts, tuple(misrouted))
