"""Ways to combine out-of-fold votes, compared: each with fitted temperatures, and cross-fitted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensemble.voting.fitting import cross_fit_parts, fit_temperature, fit_weights
from ensemble.voting.oof_votes import OutOfFoldVotes, read_out_of_fold_votes
from ensemble.voting.pooling import FLOOR, RULES, Array, sharpen, softmax, winners
from mire.errors import PanelError
from mire.labels import Task
from mire.metrics import Interval, interval, resampled_f1, scores
from mire.panel_folder import PanelFolder

Combination = Callable[[OutOfFoldVotes, OutOfFoldVotes], Array]
"""Learns from the first votes, and pools the second ones: (n, n_labels)."""

REFERENCE, DEFAULT = "fitted", "log_linear"
"""The panel's default as it is called here, and its rule."""

_INVERSE_PENALTY = 0.3


def fitted(learn: OutOfFoldVotes, judge: OutOfFoldVotes) -> Array:
    """Log-linear pooling with fitted temperatures and weights: the panel's default."""
    return fit_weights(learn, DEFAULT).pool(judge.votes)


def equal(rule: str, _: OutOfFoldVotes, judge: OutOfFoldVotes) -> Array:
    """One of the vote's rules with equal weights."""
    return RULES[rule](list(judge.votes.values()), [1.0] * len(judge.votes))


def best_single(learn: OutOfFoldVotes, judge: OutOfFoldVotes) -> Array:
    """The voter that was right most often."""
    hits = {name: (winners(vote) == learn.truth).mean() for name, vote in learn.votes.items()}
    return judge.votes[max(hits, key=lambda name: hits[name])]


def stacked(learn: OutOfFoldVotes, judge: OutOfFoldVotes) -> Array:
    """Multinomial logistic regression on all voters' log-probabilities (Wolpert 1992, stacking)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=5000).fit(_logs(learn), learn.truth)
    pooled = np.zeros((len(judge.ids), next(iter(judge.votes.values())).shape[1]))
    pooled[:, model.classes_] = model.predict_proba(_logs(judge))
    return pooled


def conditional_logit(learn: OutOfFoldVotes, judge: OutOfFoldVotes) -> Array:
    """One coefficient per voter, shared by all labels: two parameters for a pair (McFadden 1974, conditional logit).

    Log-linear pooling whose weights are fitted by likelihood alone: they may be negative, and need not sum to one.
    """
    from scipy.optimize import minimize

    rows = np.arange(len(learn.ids))

    def cost(weights: Array) -> float:
        return float(-np.log(np.maximum(_logit(learn, weights)[rows, learn.truth], 1e-12)).sum())

    start = np.full(len(learn.votes), 1 / len(learn.votes))
    return _logit(judge, minimize(cost, start, method="BFGS").x)


def _logit(oof: OutOfFoldVotes, weights: Array) -> Array:
    logs = sum(
        weight * np.log(np.maximum(vote, FLOOR)) for weight, vote in zip(weights, oof.votes.values(), strict=True)
    )
    return softmax(np.asarray(logs))


def calibrated(rule: Combination, learn: OutOfFoldVotes, judge: OutOfFoldVotes) -> Array:
    """The rule on votes whose temperatures were fitted on ``learn``."""
    temperatures = {name: fit_temperature(vote, learn.truth) for name, vote in learn.votes.items()}

    def sharpened(oof: OutOfFoldVotes) -> OutOfFoldVotes:
        return replace(oof, votes={name: sharpen(vote, temperatures[name]) for name, vote in oof.votes.items()})

    return rule(sharpened(learn), sharpened(judge))


def combinations() -> dict[str, Combination]:
    """What is compared: the default, every rule of the vote with equal weights, and three that only stand here."""
    alike = {rule: partial(equal, rule) for rule in RULES}
    others: dict[str, Combination] = {
        "equal": alike.pop(DEFAULT),
        **alike,
        "stacked": stacked,
        "two-parameter": conditional_logit,
        "best single": best_single,
    }
    return {REFERENCE: fitted, **{name: partial(calibrated, rule) for name, rule in others.items()}}


@dataclass(frozen=True)
class Outcome:
    """One rule's cross-fitted weighted F1 with its interval, and that of the difference to the reference."""

    rule: str
    n: int
    f1: float
    interval: Interval
    versus: Interval


def compare(oof: OutOfFoldVotes) -> list[Outcome]:
    """Every rule on the same votes, each sample answered by a rule that learned from others."""
    truth = [str(index) for index in oof.truth]
    answers = {name: [str(index) for index in _answers(rule, oof)] for name, rule in combinations().items()}
    resamples = {name: resampled_f1(truth, given) for name, given in answers.items()}
    return [
        Outcome(
            rule=name,
            n=len(truth),
            f1=scores(truth, given).f1,
            interval=interval(resamples[name]),
            versus=interval(resamples[name] - resamples[REFERENCE]),
        )
        for name, given in answers.items()
    ]


def compare_panel(root: Path) -> dict[Task, list[Outcome]]:
    """``compare`` for every task that a panel answers.

    Raises:
        PanelError: the folder is no panel, or holds no trained experts.
    """
    panel = PanelFolder(root)
    if not panel.trained_tasks():
        raise PanelError(f"{root} holds no trained experts; train some with mire train")
    return {task: compare(read_out_of_fold_votes(panel, task)) for task in panel.trained_tasks()}


def _answers(rule: Combination, oof: OutOfFoldVotes) -> NDArray[np.int64]:
    answers = np.zeros(len(oof.ids), dtype=np.int64)
    for judged, learned in cross_fit_parts(len(oof.ids)):
        answers[judged] = winners(rule(oof.rows(learned), oof.rows(judged)))
    return answers


def _logs(oof: OutOfFoldVotes) -> Array:
    return np.hstack([np.log(np.maximum(vote, FLOOR)) for vote in oof.votes.values()])


def table(outcomes: dict[Task, list[Outcome]]) -> str:
    """One line per rule."""
    lines = [f"{'task':<9} {'rule':<12} {'n':>5} {'F1':>6}  {'95 % interval':<15}  against {REFERENCE}"]
    for task, rows in outcomes.items():
        for row in rows:
            own, versus = row.interval, row.versus
            lines.append(
                f"{task:<9} {row.rule:<12} {row.n:>5} {row.f1:>6.3f}  {own.low:.3f} - {own.high:.3f}    "
                f"{versus.low:+.3f} - {versus.high:+.3f}"
            )
    return "\n".join(lines)
