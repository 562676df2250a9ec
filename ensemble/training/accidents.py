"""Accidents of a training, recognised by a voter's answers to samples that it was not trained on.

Each rule takes numbers and gives one sentence with the usual cause, or None. Answers are label indices, (n,) int64.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import comb

import numpy as np
from numpy.typing import NDArray

from mire.panel_card import Checks

Answers = NDArray[np.int64]

N_NEEDED = 20
"""Fewer answers than this say nothing about a share of them."""
N_OF_LABEL = 8
"""A label that none of so many samples gets has a recall below 0.31, at 95 % confidence (0.69 ** 8 is 0.05)."""
SAME = 0.95
"""From this share on, answers count as all alike, or as unchanged."""
SIGNIFICANT = 0.05

_IGNORED = {
    "grey pictures": (
        "pictures are ignored, {share} of {n} samples get the same answer with grey ones; usually max_pixels is too "
        "low to see what tells the labels apart, or the prompt's text tells the label"
    ),
    "reversed turns": (
        "the order of turns is ignored, {share} of {n} dialogues get the same answer from last to first; usually "
        "max_tokens leaves one turn, or words that stand anywhere tell the label"
    ),
}


@dataclass(frozen=True)
class Probes:
    """What is known of a training besides its held-out answers.

    - ``losses``: the mean training loss of each epoch.
    - ``right``, ``base_right`` (n,) bool: which held-out samples the voter, and its untrained base, answer rightly.
    - ``altered``: for ``grey pictures`` and ``reversed turns`` the answers without and with them.
    """

    losses: Sequence[float] = ()
    right: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    base_right: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    altered: Mapping[str, tuple[Answers, Answers]] = field(default_factory=dict)


def check_training(answers: Answers, truth: Answers, labels: Sequence[str], probes: Probes) -> Checks:
    """The figures and the accidents of a training; what follows from another accident is left out."""
    alone = one_label(answers, truth, labels)
    found = [alone, worse_than_base(probes.right, probes.base_right), loss_rose(probes.losses)]
    if not alone:
        found += [never_answered(answers, truth, labels)]
        found += [ignores(what, *pair) for what, pair in probes.altered.items()]
    figures = {f"same answer with {what}": _same(*pair) for what, pair in probes.altered.items() if len(pair[0])}
    if len(answers):
        figures["most frequent answer"] = (float(np.bincount(answers).max() / len(answers)), len(answers))
    if n := len(probes.right):
        figures["right"] = (float(probes.right.mean()), n)
        figures["right without training"] = (float(probes.base_right.mean()), n)
    return Checks(figures=figures, accidents=tuple(filter(None, found)))


def one_label(answers: Answers, truth: Answers, labels: Sequence[str]) -> str | None:
    """Nearly all answers are one label, which at least a tenth fewer samples have."""
    if len(answers) < N_NEEDED:
        return None
    top = int(np.bincount(answers).argmax())
    share, true_share = float((answers == top).mean()), float((truth == top).mean())
    if share < SAME or true_share > share - 0.1:
        return None
    return (
        f"{share:.0%} of {len(answers)} answers are {labels[top]}, which {true_share:.0%} of the samples have; usually "
        "learning_rate is too high (try a third) or warmup too short"
    )


def worse_than_base(right: NDArray[np.bool_], base_right: NDArray[np.bool_]) -> str | None:
    """The untrained base is right on more of the same samples: exact one-sided sign test on those that differ."""
    lost, n_differ = int((base_right & ~right).sum()), int((base_right ^ right).sum())
    if sum(comb(n_differ, k) for k in range(lost, n_differ + 1)) >= SIGNIFICANT * 2**n_differ:
        return None
    return (
        f"it is right on {right.mean():.0%} of {len(right)} samples, its base without training on "
        f"{base_right.mean():.0%}; usually learning_rate or epochs are too high, or labels were mixed up"
    )


def loss_rose(losses: Sequence[float]) -> str | None:
    """The last epoch's loss lies a quarter above the lowest one, and by more than 0.05."""
    if not losses or losses[-1] <= max(1.25 * min(losses), min(losses) + 0.05):
        return None
    return (
        f"the training loss rose from {min(losses):.3f} to {losses[-1]:.3f}; usually learning_rate is too high (try a "
        "third) or warmup too short"
    )


def never_answered(answers: Answers, truth: Answers, labels: Sequence[str]) -> str | None:
    """Labels of at least ``N_OF_LABEL`` samples are no sample's answer."""
    n_true, n_answered = (np.bincount(each, minlength=len(labels)).tolist() for each in (truth, answers))
    never = [
        f"{label} ({n} samples)"
        for label, n, n_told in zip(labels, n_true, n_answered, strict=True)
        if n >= N_OF_LABEL and not n_told
    ]
    if not never:
        return None
    return f"never answered: {', '.join(never)}; usually its samples are mislabelled, or another label means the same"


def ignores(what: str, before: Answers, after: Answers) -> str | None:
    """Nearly all answers stay with ``grey pictures``, or with ``reversed turns``."""
    if len(before) < N_NEEDED:
        return None
    share, n = _same(before, after)
    return _IGNORED[what].format(share=f"{share:.0%}", n=n) if share >= SAME else None


def _same(before: Answers, after: Answers) -> tuple[float, int]:
    """The share of answers that stay, and of how many."""
    return float((before == after).mean()), len(before)
