"""Which words decide: of samples, or of every label in general."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ensemble.panel import Panel, by_task, load_sound_voter
from experts.registry import VOTERS
from experts.shown import shown
from experts.voter import Explainer
from mire.budget import Ledger
from mire.errors import DataError
from mire.labels import Taxonomy
from mire.panel_folder import PanelFolder
from mire.privacy.masking import Hide, mask
from mire.samples import Sample

N_LABELS = 3


def explain_samples(samples: Sequence[Sample], root: Path, *, hide: Hide = mask) -> Iterator[dict[str, Any]]:
    """The panel's answer for each sample, each voter's most probable labels, and the words behind them."""
    groups = by_task(samples, PanelFolder(root).taxonomies())
    panel = Panel.load(root, tuple(groups))
    ledger = Ledger()
    for task, members in groups.items():
        part = panel.tasks[task]
        words = {voter.name: voter.explain(members) for voter in part.voters if isinstance(voter, Explainer)}
        answers = part.predict(members, ledger)
        seen = shown(members, words, hide)
        for row, answer in enumerate(answers):
            yield {
                "id": answer.sample_id,
                "task": task,
                "predict": answer.label,
                "probability": round(max(answer.probabilities), 4),
                "voters": {
                    vote.voter: {
                        "labels": _rounded_top(vote.probabilities, part.taxonomy),
                        "words": dict(seen[row].words(words[vote.voter][row])) if vote.voter in words else None,
                    }
                    for vote in answer.votes
                },
            }


def explain_file(
    root: Path, data: Path, images: Path, *, ids: Sequence[str] | None = None, hide: Hide = mask
) -> Iterator[dict[str, Any]]:
    """``explain_samples`` for a file, or for those of its samples that ``ids`` name.

    Raises:
        DataError: the file cannot be read, or holds no such sample.
    """
    samples = PanelFolder(root).read_samples(data, images)
    unknown = set(ids or ()) - {sample.id for sample in samples}
    if unknown:
        raise DataError(f"{data} holds no sample {', '.join(map(repr, sorted(unknown)))}; --id takes ids of this file")
    return explain_samples([sample for sample in samples if not ids or sample.id in ids], root, hide=hide)


def explain_labels(root: Path, *, hide: Hide = mask) -> Iterator[dict[str, Any]]:
    """The words that speak for each label, by voter."""
    folder = PanelFolder(root)
    settings = folder.settings()
    for task in folder.trained_tasks():
        taxonomy = folder.taxonomy(task)
        for name in (name for name in settings.panel.voters(task) if VOTERS[name].explains):
            voter: Any = load_sound_voter(
                name, folder.voter(task, name), taxonomy=taxonomy, settings=settings, base=None
            )
            for label, words in voter.label_words().items():
                yield {
                    "task": task,
                    "label": label,
                    "voter": name,
                    "words": {hide(word): round(value, 3) for word, value in words},
                }


def _rounded_top(probabilities: Sequence[float], taxonomy: Taxonomy) -> dict[str, float]:
    return {label.name: round(probability, 4) for label, probability in taxonomy.top(probabilities, N_LABELS)}
