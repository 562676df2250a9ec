"""Say which words decide: of some samples, or of every label in general.

    python -m ensemble.explain --panel runs/p
    python -m ensemble.explain --panel runs/p --data test.json --images images [--id ID ...]

Prints one JSON line a sample, or a label. Voters that read text name their words, with what each adds to the
label's logit; the others give their first labels only.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mire.cli import parser, run
from mire.errors import DataError

N_LABELS = 3


def explain_samples(samples: Sequence[Any], root: Path) -> Iterator[dict[str, Any]]:
    """The panel's answer for each sample, each voter's first labels, and the words behind them."""
    from ensemble.panel import Panel, by_task
    from experts.voter import Explainer
    from mire.budget import Ledger

    groups = by_task(samples)
    panel = Panel.load(root, tuple(groups))
    ledger = Ledger()
    for task, members in groups.items():
        part = panel.tasks[task]
        words = {voter.name: voter.explain(members) for voter in part.voters if isinstance(voter, Explainer)}
        for row, answer in enumerate(panel.predict(members, ledger)):
            yield {
                "id": answer.sample_id,
                "task": task,
                "predict": answer.label,
                "probability": round(max(answer.probabilities), 4),
                "voters": {
                    vote.voter: {
                        "labels": _first(vote.probabilities, part.taxonomy.labels),
                        "words": _rounded(words[vote.voter][row]) if vote.voter in words else None,
                    }
                    for vote in answer.votes
                },
            }


def explain_labels(root: Path) -> Iterator[dict[str, Any]]:
    """The words that speak for each label, by voter."""
    from ensemble.voters import load_voter
    from mire.labels import TASKS
    from mire.panel_folder import PanelFolder

    folder = PanelFolder(root)
    settings = folder.settings()
    for task in (task for task in TASKS if folder.has(task)):
        taxonomy = folder.taxonomy(task)
        for name in (name for name in settings.panel.voters(task) if name in ("screen_text", "dialogue_text")):
            voter: Any = load_voter(name, folder.voter(task, name), taxonomy=taxonomy, settings=settings, base=None)
            for label, words in voter.label_words().items():
                yield {"task": task, "label": label, "voter": name, "words": _rounded(words)}


def _first(probabilities: Sequence[float], labels: Sequence[str]) -> dict[str, float]:
    best = sorted(range(len(labels)), key=lambda place: -probabilities[place])[:N_LABELS]
    return {labels[place]: round(probabilities[place], 4) for place in best}


def _rounded(words: Sequence[tuple[str, float]]) -> dict[str, float]:
    return {word: round(value, 3) for word, value in words}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("ensemble.explain", "Say which words decide, of samples or of every label.")
    options.add_argument("--panel", type=Path, required=True)
    options.add_argument("--data", type=Path, help="samples to explain (default: explain every label)")
    options.add_argument("--images", type=Path, help="folder of the pictures")
    options.add_argument("--id", action="append", help="explain these samples only")
    chosen = options.parse_args(argv)
    if chosen.data is None:
        lines = explain_labels(chosen.panel)
    else:
        from mire.panel_folder import PanelFolder

        samples = PanelFolder(chosen.panel).read_samples(chosen.data, chosen.images)
        unknown = set(chosen.id or ()) - {sample.id for sample in samples}
        if unknown:
            raise DataError(f"{chosen.data} holds no sample {', '.join(map(repr, sorted(unknown)))}")
        lines = explain_samples([s for s in samples if not chosen.id or s.id in chosen.id], chosen.panel)
    for line in lines:
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    raise SystemExit(run(main))
