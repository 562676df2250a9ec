"""Train the experts of one task or both, collect their out-of-fold votes, fit the vote."""

import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ensemble.evaluation.learning_curve import write_learning_curve
from ensemble.panel import Votes, by_task
from ensemble.training.accelerate_launch import Launch
from ensemble.training.accidents import Probes, check_training
from ensemble.training.adapters import train_adapters, train_follower
from ensemble.training.few_samples import fine_tuning_settings, fitting_settings
from ensemble.training.model_card import write_cards, write_panel_card
from ensemble.training.probes import answers_of
from ensemble.training.replacement import replacing
from ensemble.training.training_set import TrainingSet
from ensemble.voting.fitting import fit_panel, keep_equal_weights
from ensemble.voting.oof_votes import write_votes
from experts.registry import VOTERS, train_voter
from mire.budget import Cost
from mire.errors import DataError, some
from mire.labels import TASKS, Task, Taxonomy
from mire.launch_options import Kind
from mire.metrics import interval, resampled_f1, scores
from mire.panel_card import Checks, DraftsGain, read_card
from mire.panel_folder import PanelFolder
from mire.samples import Sample, fault_text, read_samples
from mire.settings import Settings
from mire.votes import Vote

logger = logging.getLogger(__name__)


def train_task(known: TrainingSet, launch: Launch) -> None:
    """Train every voter of a task and fit the vote; afterwards the panel folder can predict this task."""
    task, panel = known.task, known.panel
    taxonomy = known.settings.taxonomy(task)
    labels = {sample.id: str(sample.label) for sample in known.samples}
    n_guessed = len(known.inside(None)) - len(known.samples)
    missing = [label for label in taxonomy.labels if label not in labels.values()]
    voters = known.settings.panel.voters(task)
    logger.info(
        f"{task}: {f'{n_guessed} pseudo-labelled and ' if n_guessed else ''}{len(labels)} samples, "
        f"{len(taxonomy.labels) - len(missing)} of {len(taxonomy.labels)} labels"
        + (f": missing {some(missing)}" if missing else "")
        + f"; training {', then '.join(voters)}"
    )
    if broken := [sample for sample in known.samples if sample.problems]:
        first = broken[0]
        logger.info(
            f"{task}: {len(broken)} of them can be read only in part (first: record {first.number}, "
            f"id {first.id!r}: {first.problems[0]}); python -m mire.validate lists all"
        )
    drafted = any(label.drafts for label in taxonomy.live) and known.divided
    taken: list[str] = []
    checks: dict[str, Checks] = {}
    quick: Votes = {}
    drafts: dict[str, DraftsGain] = {}
    for name in voters:
        if taken:
            logger.info(f"{task}: training {name}")
        started = time.monotonic()
        votes, cost, probes = _train(name, known, launch)
        write_votes(panel.votes(task, name), votes, labels, taxonomy=taxonomy, cost=cost)
        checks[name] = _check(votes, labels, taxonomy, probes)
        taken.append(f"{name} {time.monotonic() - started:.0f} s")
        if VOTERS[name].quick:
            quick[name] = votes
        if drafted and VOTERS[name].drafts:
            drafts[name] = _gain_of_drafts(name, known, votes)
    started = time.monotonic()
    write_learning_curve(panel, task, known.samples, known.folds, quick)
    if quick:
        taken.append(f"learning curve {time.monotonic() - started:.0f} s")
    weights = fit_panel(panel, task) if known.divided else keep_equal_weights(panel, task)
    shares = ", ".join(f"{name} {voter.weight:.1f}" for name, voter in weights.voters.items())
    write_cards(known, checks, drafts=drafts)
    logger.info(
        f"{task}: trained ({', '.join(taken)}); weights {shares}, fitted on {weights.n_fitted} out-of-fold votes"
    )


def _train(name: str, known: TrainingSet, launch: Launch) -> tuple[list[Vote | None], Cost, Probes]:
    """One voter's out-of-fold votes, what a vote costs, and what was probed; the final voter is in the panel then."""
    row = VOTERS[name]
    if row.adapters:
        return train_adapters(known, launch)
    votes, cost = train_follower(name, known) if row.stage.follows else _train_in_folds(name, known)
    return votes, cost, Probes()


def _check(votes: Sequence[Vote | None], labels: Mapping[str, str], taxonomy: Taxonomy, probes: Probes) -> Checks:
    """What the held-out votes and the probes say of a training."""
    answers = answers_of(votes)
    truth = [taxonomy.index(labels[key]) for key in answers]
    return check_training(np.array([*answers.values()], int), np.array(truth, int), taxonomy.labels, probes)


def _vote_in_folds(name: str, known: TrainingSet, taxonomy: Taxonomy) -> list[Vote | None]:
    """Each fold's votes by a voter that was trained on the others."""
    settings = known.settings
    votes: list[Vote | None] = []
    for fold in range(settings.folds if known.divided else 0):
        votes += train_voter(name, known.inside(fold), taxonomy=taxonomy, settings=settings).vote(known.outside(fold))
    return votes


def _gain_of_drafts(name: str, known: TrainingSet, votes: Sequence[Vote | None]) -> DraftsGain:
    """The voter's figures with and without the made-up turns of the taxonomy; logs them."""
    taxonomy = known.settings.taxonomy(known.task)
    labels = {sample.id: str(sample.label) for sample in known.samples}
    bare = _vote_in_folds(name, known, taxonomy.without_drafts())
    both = [pair for pair in zip(votes, bare, strict=True) if all(pair)]
    truth = [labels[vote.sample_id] for vote, _ in both if vote]
    with_them, without = (
        [taxonomy.labels[int(np.argmax(vote.probabilities))] for vote in side if vote]
        for side in zip(*both, strict=True)
    )
    gain = interval(resampled_f1(truth, with_them) - resampled_f1(truth, without))
    found = DraftsGain(f1=scores(truth, with_them).f1, without=scores(truth, without).f1, **asdict(gain))
    logger.info(f"{known.task}: {name} has out of fold F1 {found.f1:.3f} with the drafts, {found.without:.3f} without")
    return found


def _train_in_folds(name: str, known: TrainingSet) -> tuple[list[Vote | None], Cost]:
    """Out-of-fold votes; then the final voter, trained on everything."""
    taxonomy, settings = known.settings.taxonomy(known.task), known.settings
    votes = _vote_in_folds(name, known, taxonomy)
    voter = train_voter(name, known.inside(None), taxonomy=taxonomy, settings=settings)
    folder = known.panel.voter(known.task, name)
    shutil.rmtree(folder, ignore_errors=True)
    voter.save(folder)
    return votes, voter.cost


def read_labelled(tasks: Sequence[Task], data: Path, images: Path, settings: Settings) -> dict[Task, list[Sample]]:
    """The samples of ``tasks``, each with a live label; labels of other tasks are not checked.

    Raises:
        DataError: the file breaks the format, lacks a task's samples, or holds missing or unknown labels.
    """
    taxonomies = {task: settings.taxonomy(task) for task in TASKS}
    groups = by_task(read_samples(data, images, max_decoded_pixels=settings.max_decoded_pixels), taxonomies)
    for task in tasks:
        if task not in groups:
            raise DataError(f"{data} holds no {task} sample")
    faults = [fault for task in tasks for fault in _label_faults(groups[task], taxonomies[task])]
    if faults:
        raise DataError(fault_text(data, faults))
    return {task: groups[task] for task in tasks}


def _label_faults(samples: Sequence[Sample], taxonomy: Taxonomy) -> Iterator[str]:
    for sample in samples:
        where = f"record {sample.number}, id {sample.id!r}"
        if sample.label is None:
            yield f"{where}: training needs a label in 'output'"
        elif sample.label not in taxonomy:
            yield (
                f"{where}: {sample.label!r} is not a live {taxonomy.task} label; correct it, or name a taxonomy of "
                f"your own as taxonomies.{taxonomy.task} in the settings"
            )


def train_panel(
    tasks: Sequence[Task],
    *,
    data: Path | None,
    images: Path,
    panel: PanelFolder,
    settings: Settings,
    kind: Kind = "ddp",
    n_devices: int | None = None,
) -> None:
    """Train the experts of ``tasks`` on a labelled file, or without one, into a new or existing panel folder.

    A task's experts take their place when all of them are trained; until then the panel answers with the old ones.

    The adapters are trained on ``n_devices`` (None: all GPUs, or one process on the CPU).

    Raises:
        DataError: as ``read_labelled``.
        PanelError: the folder is another configuration's panel, another process trains the same task in it, or
            training failed.
        SettingsError: there are fewer devices than asked for, or a batch cannot be divided among them.
    """
    launch = Launch.choose(kind, n_devices)
    for task in tasks:
        if any(VOTERS[name].adapters for name in settings.panel.voters(task)):
            settings.qwen2vl.training(task).share(launch.n_processes)
    groups = read_labelled(tasks, data, images, settings) if data else {task: [] for task in tasks}
    for task in tasks:
        settings = fitting_settings(settings, task, groups[task])
        settings = fine_tuning_settings(settings, task, groups[task])
    panel.claim(settings)
    for task in tasks:
        with replacing(panel, task, settings) as beside:
            train_task(TrainingSet.divide(task, groups[task], data=data, images=images, panel=beside), launch)
        write_panel_card(panel)
    for card in (card for task in tasks if (card := read_card(panel, task))):
        for name, checks in card.checks.items():
            if checks.accidents:
                logger.warning(f"{card.task}: WARNING, {name}: {'; '.join(checks.accidents)} ({panel.card(card.task)})")
