"""What is compared: systems of one run or several, each run a prediction's CSV or a panel, and what they answered."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ensemble.evaluation.held_out_votes import collect_held_out_votes
from ensemble.panel import by_task
from ensemble.prediction.submission_scores import read_answers, read_truth
from ensemble.voting.pooling import winners
from mire.errors import DataError
from mire.labels import TASKS, Task, Taxonomy
from mire.panel_folder import PanelFolder
from mire.samples import Sample

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class System:
    """A system's name and its runs, of different seeds: CSVs of ``mire predict``, or panels."""

    name: str
    runs: tuple[Path, ...]

    @classmethod
    def parse(cls, text: str) -> "System":
        """``RUN``, or ``NAME=RUN,RUN`` for several runs of one system; without a name the text is it."""
        if Path(text).exists():  # whatever signs are in its name
            return cls(text, (Path(text),))
        name, runs = text.split("=", 1) if "=" in text else (text, text)
        return cls(name, tuple(map(Path, runs.split(","))))


@dataclass(frozen=True)
class TaskAnswers:
    """One task's right labels, and for each system what each of its runs answered: as many labels, in their order.

    An answer is None where that run is not asked; then no system's run of that number is, if all have as many.
    """

    truth: tuple[str, ...]
    systems: Mapping[str, tuple[tuple[str | None, ...], ...]]


def collect_answers(systems: Sequence[System], truth: Path, images: Path) -> dict[Task, TaskAnswers]:
    """Every system's answers to what all can answer, by task in the order of ``TASKS``.

    A panel answers samples that it was trained on by its out-of-fold votes, pooled by weights that were fitted on
    others, and all others anew. Where all systems have as many runs, as those of a sweep's seeds, each with folds of
    its own, first runs are asked what every first run answers, second runs what every second run does, and so on;
    else every run is asked what all runs answer.

    Raises:
        DataError: a CSV does not hold exactly the ids of ``truth``, a sample has no label, or a run has no sample that
            the others answer too.
        PanelError: a folder is no panel, or its votes are missing.
    """
    samples = read_truth(truth)
    answers = {
        system.name: [
            _panel_answers(run, truth, images) if run.is_dir() else read_answers(run, samples, truth)
            for run in system.runs
        ]
        for system in systems
    }
    asked = _asked(list(answers.values()))
    known = [sample for sample in samples if any(sample.id in ids for ids in asked)]
    if n_left_out := len(samples) - len(known):
        logger.info(f"{n_left_out} of {len(samples)} samples are left out: not every panel has held-out votes on them")
    groups = by_task(known, _taxonomies(systems))
    ids_of = [{sample.id for sample in group} for group in groups.values()]
    if not known or not all(ids & of_task for ids in asked for of_task in ids_of):
        raise DataError(f"no sample of {truth} has an answer of every run; compare panels of the same task and data")
    return {
        task: TaskAnswers(
            tuple(str(sample.label) for sample in groups[task]),
            {
                name: tuple(_labels(run, groups[task], ids) for run, ids in zip(runs, asked, strict=False))
                for name, runs in answers.items()
            },
        )
        for task in TASKS
        if task in groups
    }


def _asked(systems: Sequence[Sequence[Mapping[str, str]]]) -> list[set[str]]:
    """The ids that each run is asked, by its number, from every system's runs with their answers by id."""
    counts = {len(runs) for runs in systems}
    beside = list(zip(*systems, strict=True)) if len(counts) == 1 else [tuple(chain(*systems))] * max(counts)
    return [set.intersection(*map(set, runs)) for runs in beside]


def _panel_answers(root: Path, truth: Path, images: Path) -> dict[str, str]:
    """A panel's label of each sample of its tasks, by id."""
    folder = PanelFolder(root)
    taxonomies = folder.taxonomies()
    groups = by_task(folder.read_samples(truth, images), taxonomies)
    held_out = collect_held_out_votes({task: groups[task] for task in taxonomies if task in groups}, root)
    return {
        sample.id: part.taxonomy.labels[index]
        for part in held_out
        for sample, index in zip(part.samples, winners(part.pooled(tuple(part.votes))), strict=True)
    }


def _taxonomies(systems: Sequence[System]) -> Mapping[Task, Taxonomy]:
    """The labels of the first panel: the router knows a label list by them."""
    panels = (PanelFolder(run) for system in systems for run in system.runs if run.is_dir())
    return next((panel.taxonomies() for panel in panels), {})


def _labels(answers: Mapping[str, str], samples: Sequence[Sample], asked: set[str]) -> tuple[str | None, ...]:
    return tuple(answers[sample.id] if sample.id in asked else None for sample in samples)
