"""Give a trained panel examples of known or new labels: nothing is trained, a voter that grows keeps their states."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ensemble.panel import Panel, by_task
from ensemble.training.model_card import write_panel_card
from ensemble.training.replacement import check_none_begun, replacing
from experts.neighbours.voter import NeighboursVoter
from experts.registry import VOTERS
from mire.atomic_files import write_text
from mire.errors import DataError, PanelError, some
from mire.labels import Label, Task, Taxonomy
from mire.panel_card import read_card
from mire.panel_folder import PanelFolder
from mire.samples import Sample


def add_examples(panel: PanelFolder, data: Path, images: Path) -> Iterator[str]:
    """Add a file's labelled samples to the panel, task by task; yield what a person reads.

    A label that the panel does not know becomes one that it answers, after those that it was trained for.

    Raises:
        DataError: the file breaks the format, or a sample has no label or a disabled one.
        PanelError: a task is not trained, has no voter that takes examples, or is being trained.
    """
    groups = by_task(panel.read_samples(data, images), panel.taxonomies())
    for task, samples in groups.items():
        _check(panel, task, samples)
    for task, samples in groups.items():
        with replacing(panel, task, panel.settings()) as beside:
            new = _add(beside, task, samples)
        write_panel_card(panel)
        yield f"{task}: {len(samples)} examples added; " + (f"new labels: {some(new)}" if new else "no new label")
        yield from _untaught(panel, task)


def _untaught(panel: PanelFolder, task: Task) -> Iterator[str]:
    """Which voters do not know the labels that came after their training: a panel keeps no text to train them on."""
    added = panel.answered(task).labels[len(panel.taxonomy(task).labels) :]
    fixed = [name for name in panel.settings().panel.voters(task) if not VOTERS[name].grows]
    if added and fixed:
        yield (
            f"{task}: not known to {', '.join(fixed)}: {some(added)}; to teach them, add these labels to the taxonomy "
            "and train again on the samples of all labels"
        )


def _check(panel: PanelFolder, task: Task, samples: Sequence[Sample]) -> None:
    trained = panel.taxonomy(task)
    if not any(VOTERS[name].grows for name in panel.settings().panel.voters(task)):
        able = ", ".join(name for name, row in VOTERS.items() if row.grows and task in row.tasks)
        raise PanelError(f"{panel.root} has no {task} voter that takes examples; train it with one of {able}")
    check_none_begun(panel, task)
    disabled = {entry.name for entry in trained.entries} - set(trained.labels)
    for sample in samples:
        if sample.label is None or sample.label in disabled:
            fault = "needs a label in 'output'" if sample.label is None else f"{sample.label!r} is disabled"
            raise DataError(f"record {sample.number}, id {sample.id!r}: {fault}; correct it, or leave it out")


def _add(panel: PanelFolder, task: Task, samples: Sequence[Sample]) -> list[str]:
    """Replace the voter that grows and the labels in the panel; returns the names of new labels."""
    counts = Counter(str(sample.label) for sample in samples)
    known = panel.answered(task)
    new = [Label(name=name) for name in counts if name not in known]
    taxonomy = Taxonomy(task, (*known.entries, *new))
    added = taxonomy.entries[len(panel.taxonomy(task).entries) :]
    _grow(panel, samples, taxonomy)
    body = [label.model_dump(exclude_defaults=True) for label in added]
    write_text(panel.added(task), json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    panel.thresholds(task).unlink(missing_ok=True)  # they promise what other answers were worth
    if card := read_card(panel, task):
        n_examples = {label.name: card.added.get(label.name, 0) + counts[label.name] for label in added}
        card = card.model_copy(update={"added": n_examples})
        write_text(panel.card(task), card.model_dump_json(indent=2) + "\n")
    return [label.name for label in new]


def _grow(panel: PanelFolder, samples: Sequence[Sample], taxonomy: Taxonomy) -> None:
    """Save the voters that grow with the samples' states, which one pass of the voter that they follow gives."""
    voters = {voter.name: voter for voter in Panel.load(panel.root, (taxonomy.task,)).tasks[taxonomy.task].voters}
    for voter in voters.values():
        if isinstance(voter, NeighboursVoter):
            votes = voters[voter.leader].vote(samples)
            voter.grown(samples, votes, taxonomy).save(panel.voter(taxonomy.task, voter.name))
