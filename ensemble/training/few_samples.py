"""Train on fewer samples than folds need, or on none: from the labels' names and descriptions."""

import logging
from collections import Counter
from collections.abc import Sequence

from experts.registry import VOTERS
from experts.text_embedding.fine_tuning import enough_examples
from mire.errors import DataError
from mire.folds import make_folds
from mire.labels import Task
from mire.samples import Sample
from mire.settings import Settings, TextEmbedding

logger = logging.getLogger(__name__)


def fitting_settings(settings: Settings, task: Task, samples: Sequence[Sample]) -> Settings:
    """The settings for so few samples: as they are, with fewer folds, or with those voters only that need no sample.

    Nothing changes where no voter of the task learns from descriptions.

    Raises:
        DataError: there is no sample, and no voter of the task learns from descriptions.
    """
    voters = settings.panel.voters(task)
    describing = tuple(name for name in voters if VOTERS[name].describes)
    if not samples and not describing:
        able = ", ".join(name for name, row in VOTERS.items() if row.describes and task in row.tasks)
        raise DataError(f"training {task} without samples needs a voter that learns from descriptions: {able}")
    most = _commonest(samples)
    if not describing or most >= settings.folds:
        return settings
    fewer = settings.model_copy(update={"folds": max(most, settings.qwen2vl.vote_folds, 2)})
    if most >= fewer.folds and _every_fold_leaves_two_labels(samples, fewer):
        logger.info(f"{task}: {fewer.folds} folds, the commonest label has {most} samples")
        return fewer
    left_out = [name for name in voters if name not in describing]
    logger.info(
        f"{task}: {len(samples)} samples are too few to hold any out: no figure is measured"
        + (f"; left out, as they need more: {', '.join(left_out)}" if left_out else "")
    )
    given = {other: shares for other, shares in settings.weights.items() if other != task}
    panel = settings.panel.model_copy(update={task: describing})
    return settings.model_copy(update={"panel": panel, "weights": given})


def fine_tuning_settings(settings: Settings, task: Task, samples: Sequence[Sample]) -> Settings:
    """Settings without ``fine_tune`` where a fold leaves too few samples for it: what answers is what is measured."""
    stage = settings.text_embedding
    if not stage.ridge(task).fine_tune:
        return settings
    if _commonest(samples) >= settings.folds and all(map(enough_examples, _left_by_folds(samples, settings))):
        return settings
    logger.info(f"{task}: the encoder of text_embedding is not fine-tuned, a fold leaves too few samples")
    plain = stage.ridge(task).model_copy(update={"fine_tune": False})
    return settings.model_copy(update={TextEmbedding.voter: stage.model_copy(update={task: plain})})


def too_few(samples: Sequence[Sample], settings: Settings, task: Task) -> bool:
    """Whether none can be held out; then every voter of the task learns from descriptions."""
    alone = all(VOTERS[name].describes for name in settings.panel.voters(task))
    return alone and _commonest(samples) < settings.folds


def _commonest(samples: Sequence[Sample]) -> int:
    return max(Counter(sample.label for sample in samples).values(), default=0)


def _every_fold_leaves_two_labels(samples: Sequence[Sample], settings: Settings) -> bool:
    return all(len(set(labels)) > 1 for labels in _left_by_folds(samples, settings))


def _left_by_folds(samples: Sequence[Sample], settings: Settings) -> list[list[str]]:
    """Per fold the labels of the samples outside of it."""
    folds = make_folds(samples, n_folds=settings.folds, seed=settings.seed)
    return [[str(each.label) for each in samples if folds[each.id] != fold] for fold in range(settings.folds)]
