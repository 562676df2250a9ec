"""What each voter adds: every voter alone, every pair, the whole panel, by task and as the mean.

    python -m ensemble.ablate --data test.json --images images --panel runs/p --out runs/p

Writes ``ablation.json`` and ``ablation.html``. Samples that the panel was trained on are judged by their
out-of-fold votes, with weights fitted on other samples; all others by fresh votes.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mire.cli import add_data, parser, run, say
from mire.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ensemble.evidence import Evidence
    from ensemble.judge import System
    from mire.samples import Sample

PRICES = ("calls", "output_tokens", "milliseconds")
"""What an answer costs: model calls, output tokens, and time where the panel's card tells it."""


def ablate(samples: "Sequence[Sample]", root: Path) -> dict[str, Any]:
    """Everything that ``ablation.json`` holds, and the report shows.

    Samples that the router sent to the wrong task are counted under ``router`` and judged nowhere else.

    Raises:
        DataError, PanelError: as ``ensemble.evidence.gather``; or every sample went to the wrong task.
    """
    from ensemble.evidence import gather
    from ensemble.judge import contributions, judge, subsets
    from ensemble.routing import routing
    from mire.labels import TASKS
    from mire.panel_folder import PanelFolder

    folder = PanelFolder(root)
    routed = routing(samples, {task: folder.taxonomy(task) for task in TASKS if folder.has(task)})
    if routed.misrouted:
        say(f"{len(routed.misrouted)} samples went to the wrong task and are left out of the figures")
    wrong = {sample.id for sample in routed.misrouted}
    if len(wrong) == len(samples):
        raise DataError("the router sent every sample to the other task than its label's: look at the instructions")
    found = gather([sample for sample in samples if sample.id not in wrong], root)
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


def _means(systems: dict[Any, list["System"]]) -> list[dict[str, Any]]:
    """The mean of both tasks' F1, for the panel and for every voter that answers both."""
    from mire.metrics import interval

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


def _task(evidence: "Evidence", systems: Sequence["System"]) -> dict[str, Any]:
    import numpy as np
    from sklearn.metrics import confusion_matrix, f1_score

    from ensemble.mistakes import mistakes
    from ensemble.vote import winners
    from mire.metrics import interval

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


def _calibration(evidence: "Evidence", pooled: "NDArray[np.float64]", raw: "NDArray[np.float64]") -> dict[str, Any]:
    """How far the panel's probabilities can be believed, before the temperatures and after."""
    from ensemble.calibration import calibration_error, coverage, reliability

    before, after = reliability(raw, evidence.truth), reliability(pooled, evidence.truth)
    return {
        "error_before": calibration_error(before),
        "error_after": calibration_error(after),
        "before": [asdict(part) for part in before],
        "after": [asdict(part) for part in after],
        "coverage": coverage(pooled, evidence.truth),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("ensemble.ablate", "Score every voter, every pair and the panel; write JSON and HTML.")
    add_data(options)
    options.add_argument("--panel", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True, help="folder for ablation.json and ablation.html")
    chosen = options.parse_args(argv)
    from ensemble.report import render
    from ensemble.table import table
    from mire.panel_folder import PanelFolder

    samples = PanelFolder(chosen.panel).read_samples(chosen.data, chosen.images)

    result = ablate(samples, chosen.panel)
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "ablation.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (chosen.out / "ablation.html").write_text(render(result), encoding="utf-8")
    print(table(result))
    say(f"written: {chosen.out / 'ablation.json'}, {chosen.out / 'ablation.html'}")


if __name__ == "__main__":
    raise SystemExit(run(main))
