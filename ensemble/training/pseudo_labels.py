"""Pseudo-labels: predict unlabelled samples, keep the most confident per label, train again with them."""

import json
import logging
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ensemble.evaluation.held_out_votes import collect_held_out_votes
from ensemble.panel import Panel, TaskPanel, by_task
from ensemble.training.adapters import follower, load_fold_voter
from ensemble.training.train_panel import read_labelled, train_panel
from ensemble.training.training_set import TrainingSet
from ensemble.voting.pooling import winners
from ensemble.voting.weights import read_weights
from experts.registry import VOTERS, train_voter
from experts.voter import Voter
from mire.atomic_files import write_text
from mire.budget import Ledger, ParameterCount
from mire.errors import DataError
from mire.folds import read_folds, trained_on
from mire.labels import TASKS, Task
from mire.metrics import interval, resampled_f1
from mire.panel_folder import PanelFolder
from mire.samples import Sample
from mire.votes import Prediction

logger = logging.getLogger(__name__)

MIN_PROBABILITY = 0.5
"""Predictions below this probability are never kept."""


def confident(predictions: Sequence[Prediction], share: float) -> list[Prediction]:
    """The most confident ``share`` (0 to 1) of each label's predictions, rounded up, above ``MIN_PROBABILITY``.

    Per label, because a common threshold would keep the easy labels only. Degraded predictions are left out.
    """
    by_label: dict[str, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        if not prediction.problems:
            by_label[prediction.label].append(prediction)
    kept: list[Prediction] = []
    for guesses in by_label.values():
        guesses.sort(key=lambda guess: -max(guess.probabilities))
        n_kept = -int(-len(guesses) * share // 1)
        kept += [guess for guess in guesses[:n_kept] if max(guess.probabilities) >= MIN_PROBABILITY]
    return kept


def write_pseudo_labels(path: Path, samples: Sequence[Sample], guesses: Sequence[Prediction], images: Path) -> None:
    """Write the predicted samples in the official format with the prediction as label; no file if there are none."""
    if not guesses:
        return
    labels = {guess.sample_id: guess.label for guess in guesses}
    records = [
        {"id": sample.id, "instruction": sample.prompt.text, "input": "", "output": labels[sample.id],
         "image": [picture.relative_to(images).as_posix() for picture in sample.images]}
        for sample in samples
        if sample.id in labels
    ]  # fmt: skip
    write_text(path, json.dumps(records, ensure_ascii=False, indent=1) + "\n")


def pseudo_label(data: Path, unlabelled: Path, images: Path, panel: Path, out: Path, *, share: float) -> None:
    """Train the panel ``out`` with ``panel``'s predictions on ``unlabelled``; ``share`` as in ``confident``.

    Raises:
        DataError, PanelError: a file or folder does not fit, nothing is left to predict, or ``out`` already exists.
    """
    if out.exists():
        raise DataError(f"{out} is already there; a new panel needs a new folder")
    old, new = PanelFolder(panel), PanelFolder(out)
    fresh = _unseen(old, unlabelled, images)
    tasks = tuple(fresh)
    labelled = read_labelled(tasks, data, images, old.settings())
    for task in tasks:
        _check_known(old, task, labelled[task], data)
        old.check_links(old.task(task))  # it may be copied in the end
    new.claim(old.settings())
    for task in tasks:
        known = TrainingSet.known(task, labelled[task], data=data, images=images, panel=old)
        _guess(known, fresh[task], new, share)
    train_panel(tasks, data=data, images=images, panel=new, settings=old.settings())
    for task in tasks:
        keep_the_better(task, labelled[task], old, new)


def _unseen(panel: PanelFolder, unlabelled: Path, images: Path) -> dict[Task, list[Sample]]:
    """The samples to predict, by task: those of the file that the panel was not trained on."""
    groups = by_task(panel.read_samples(unlabelled, images), panel.taxonomies())
    fresh: dict[Task, list[Sample]] = {}
    for task in (task for task in TASKS if task in groups):
        panel.taxonomy(task)  # raises if there are no experts of this task
        seen = trained_on(panel.folds(task), groups[task])
        if unseen := [sample for sample in groups[task] if sample.id not in seen]:
            fresh[task] = unseen
    if not fresh:
        raise DataError(f"{unlabelled} holds nothing to guess: {panel.root} was trained on all of its samples")
    return fresh


def _check_known(panel: PanelFolder, task: Task, samples: Sequence[Sample], data: Path) -> None:
    """Pseudo-labels are made per fold of the old panel, so both trainings must have the same labelled samples."""
    known = read_folds(panel.folds(task)).keys()
    odd = (known ^ {sample.id for sample in samples}) | (known - trained_on(panel.folds(task), samples).keys())
    if odd:
        raise DataError(
            f"{data} must hold the {task} samples that {panel.root} was trained on; {len(odd)} differ (first: "
            f"{sorted(odd)[0]!r})"
        )


def _guess(known: TrainingSet, fresh: Sequence[Sample], new: PanelFolder, share: float) -> None:
    """Write the predictions of the final voters, and per fold those of voters trained without that fold."""
    for fold in (None, *range(known.settings.folds)):
        panel = Panel.load(known.panel.root, (known.task,)) if fold is None else _panel_without(fold, known)
        guesses = confident(panel.tasks[known.task].predict(fresh, Ledger()), share)
        write_pseudo_labels(new.pseudo(known.task, fold), fresh, guesses, known.images)
        if fold is None:
            logger.info(f"{known.task}: {len(guesses)} of {len(fresh)} unlabelled samples get a label")


def _panel_without(fold: int, known: TrainingSet) -> Panel:
    """A panel whose voters were trained without one fold (only the weights used it); other voters are left out."""
    taxonomy, settings, task = known.panel.taxonomy(known.task), known.settings, known.task
    voters: list[Voter] = []
    for name in settings.panel.voters(task):
        row = VOTERS[name]
        if not (row.adapters or row.stage.follows):
            voters.append(train_voter(name, known.inside(fold), taxonomy=taxonomy, settings=settings))
        elif fold < settings.qwen2vl.vote_folds:
            leader = next((voter for voter in voters if voter.name == row.stage.follows), None)
            voters.append(follower(name, known, leader, fold) if leader else load_fold_voter(known, fold))
    part = TaskPanel(taxonomy, tuple(voters), read_weights(known.panel.weights(task)))
    return Panel(settings, {task: part}, ParameterCount({}))


def keep_the_better(task: Task, samples: Sequence[Sample], old: PanelFolder, new: PanelFolder) -> None:
    """The guard: put a task's old experts back unless its out-of-fold F1 rose by more than noise.

    More than noise: the paired 95 % bootstrap interval of the difference lies above zero. Equally good experts stay
    out, since each round of guessing takes the panel further from what people labelled.
    """
    before, after = (_out_of_fold_answers(task, samples, folder.root) for folder in (old, new))
    common = sorted(before.keys() & after.keys())
    truth = [before[key][0] for key in common]
    runs = [resampled_f1(truth, [answers[key][1] for key in common]) for answers in (before, after)]
    rise = interval(runs[1] - runs[0])
    told = f"{task}: out-of-fold F1 changes by {rise.low:+.3f} to {rise.high:+.3f} (95 %, n {len(common)})"
    if rise.low > 0:
        logger.info(f"{told}: the new experts stay")
        return
    shutil.rmtree(new.task(task))
    shutil.copytree(old.task(task), new.task(task))
    logger.info(f"{told}: the old experts are put back")


def _out_of_fold_answers(task: Task, samples: Sequence[Sample], panel: Path) -> dict[str, tuple[str, str]]:
    """Right label and answer of each training sample, by id."""
    (held_out,) = collect_held_out_votes({task: samples}, panel)
    labels = held_out.taxonomy.labels
    answers = winners(held_out.pooled(tuple(held_out.votes)))
    return {
        sample.id: (labels[right], labels[answer])
        for sample, right, answer in zip(held_out.samples, held_out.truth, answers, strict=True)
    }
