"""Compare ways to combine a panel's out-of-fold votes; whatever a rule learns is cross-fitted.

    python -m ensemble.rules --panel runs/p

Prints a table, then one JSON line. ``versus`` is the paired bootstrap interval of the difference to fitted
log-linear pooling, the default: where it holds zero, the rule is not better or worse beyond noise.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensemble.ballots import BallotBox, read_ballot_box
from ensemble.evidence import cross_fit_parts
from ensemble.fit import fit_weights
from ensemble.vote import FLOOR, Array, log_linear, majority, winners
from mire.cli import parser, run
from mire.errors import PanelError
from mire.labels import TASKS, Task
from mire.metrics import Interval, interval, resampled_f1, scores
from mire.panel_folder import PanelFolder

Rule = Callable[[BallotBox, BallotBox], Array]
"""Learns from the first box's votes, and pools the second's: (n, n_labels)."""

REFERENCE = "fitted"
_INVERSE_PENALTY = 0.3


def fitted(learn: BallotBox, judge: BallotBox) -> Array:
    """Log-linear pooling with fitted temperatures and weights: the panel's default."""
    return fit_weights(learn, "log_linear").pool(judge.votes)


def equal(_: BallotBox, judge: BallotBox) -> Array:
    """Log-linear pooling of the votes as they are, all alike."""
    return log_linear(list(judge.votes.values()), [1.0] * len(judge.votes))


def counted(_: BallotBox, judge: BallotBox) -> Array:
    """Majority; ties go to the larger mean probability."""
    return majority(list(judge.votes.values()), [1.0] * len(judge.votes))


def best_single(learn: BallotBox, judge: BallotBox) -> Array:
    """The voter that was right most often."""
    hits = {name: (winners(vote) == learn.truth).mean() for name, vote in learn.votes.items()}
    return judge.votes[max(hits, key=lambda name: hits[name])]


def stacked(learn: BallotBox, judge: BallotBox) -> Array:
    """Multinomial logistic regression on all voters' log-probabilities (Wolpert 1992, stacking)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=5000).fit(_logs(learn), learn.truth)
    pooled = np.zeros((len(judge.ids), next(iter(judge.votes.values())).shape[1]))
    pooled[:, model.classes_] = model.predict_proba(_logs(judge))
    return pooled


RULES: dict[str, Rule] = {
    REFERENCE: fitted, "equal": equal, "majority": counted, "stacked": stacked, "best single": best_single,
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One rule's cross-fitted weighted F1 with its interval, and that of the difference to the reference."""

    rule: str
    n: int
    f1: float
    interval: Interval
    versus: Interval


def compare(box: BallotBox) -> list[Outcome]:
    """Every rule on the same votes, each sample answered by a rule that learned from others."""
    truth = [str(place) for place in box.truth]
    answers = {name: [str(place) for place in _answers(rule, box)] for name, rule in RULES.items()}
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


def _answers(rule: Rule, box: BallotBox) -> NDArray[np.int64]:
    answers = np.zeros(len(box.ids), dtype=np.int64)
    for judged, learned in cross_fit_parts(len(box.ids)):
        answers[judged] = winners(rule(box.rows(learned), box.rows(judged)))
    return answers


def _logs(box: BallotBox) -> Array:
    return np.hstack([np.log(np.maximum(vote, FLOOR)) for vote in box.votes.values()])


def table(outcomes: dict[Task, list[Outcome]]) -> str:
    """One rule a line."""
    lines = [f"{'task':<9} {'rule':<12} {'n':>5} {'F1':>6}  {'95 % interval':<15}  against {REFERENCE}"]
    for task, rows in outcomes.items():
        for row in rows:
            own, versus = row.interval, row.versus
            lines.append(
                f"{task:<9} {row.rule:<12} {row.n:>5} {row.f1:>6.3f}  {own.low:.3f} - {own.high:.3f}    "
                f"{versus.low:+.3f} - {versus.high:+.3f}"
            )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    options = parser("ensemble.rules", "Compare ways to combine a panel's out-of-fold votes.")
    options.add_argument("--panel", type=Path, required=True)
    chosen = options.parse_args(argv)
    panel = PanelFolder(chosen.panel)
    tasks = [task for task in TASKS if panel.has(task)]
    if not tasks:
        raise PanelError(f"{panel.root} holds no trained experts; train some with scripts/train_experts.sh")
    outcomes = {task: compare(read_ballot_box(panel, task)) for task in tasks}
    print(table(outcomes))
    print(json.dumps({task: [asdict(row) for row in rows] for task, rows in outcomes.items()}))


if __name__ == "__main__":
    raise SystemExit(run(main))
