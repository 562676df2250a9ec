"""Fit the vote on out-of-fold votes: one temperature and one weight per voter."""

from itertools import product

import numpy as np

from ensemble.oof_votes import OutOfFoldVotes, read_out_of_fold_votes
from ensemble.vote import Array, log_linear, sharpen
from ensemble.weights import Method, VoterWeight, Weights, write_weights
from mire.labels import Task
from mire.panel_folder import PanelFolder
from mire.settings import Settings

TEMPERATURES = tuple(np.round(np.geomspace(0.25, 8.0, 21), 4))

N_STEPS = 10
"""Candidate weights are multiples of one tenth."""

PRIOR = 5.0
"""Strength of the penalty on unequal weights, in samples: with few votes the weights stay nearly equal."""


def fit_weights(box: OutOfFoldVotes, method: Method) -> Weights:
    """Fit the voters' temperatures, then the weights, then the pooled temperature, each by minimal log-loss.

    Temperatures are fitted per voter (https://arxiv.org/abs/1706.04599); weights by search over a grid on
    the simplex, with a penalty of ``PRIOR`` / n times their squared distance from equal weights.
    """
    temperatures = {name: _temperature(vote, box.truth) for name, vote in box.votes.items()}
    sharpened = [sharpen(vote, temperatures[name]) for name, vote in box.votes.items()]
    best = min(_simplex(len(sharpened)), key=lambda weights: _cost(sharpened, weights, box.truth))
    ballots = {
        name: VoterWeight(temperature=float(temperatures[name]), weight=weight)
        for name, weight in zip(box.votes, best, strict=True)
    }
    weights = Weights(method=method, voters=ballots, n_fitted=len(box.ids))
    temperature = _temperature(weights.pool(box.votes), box.truth)
    return weights.model_copy(update={"temperature": temperature})


def weigh(box: OutOfFoldVotes, settings: Settings, task: Task) -> Weights:
    """The weights that the settings fix for the task's voters, or else fitted ones."""
    given = settings.weights.get(task)
    if given is None:
        return fit_weights(box, settings.vote)
    shares: dict[str, float] = {str(name): weight for name, weight in given.items()}
    return Weights(method=settings.vote, voters={name: VoterWeight(weight=shares.get(name, 0.0)) for name in box.votes})


def fit_panel(panel: PanelFolder, task: Task) -> Weights:
    """Fit one task's weights on the votes in the panel folder, and write them there."""
    weights = weigh(read_out_of_fold_votes(panel, task), panel.settings(), task)
    write_weights(weights, panel.weights(task))
    return weights


def _temperature(vote: Array, truth: np.ndarray) -> float:
    return float(min(TEMPERATURES, key=lambda temperature: _nll(sharpen(vote, temperature), truth)))


def _nll(probabilities: Array, truth: np.ndarray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean())


def _cost(votes: list[Array], weights: tuple[float, ...], truth: np.ndarray) -> float:
    equal = 1 / len(weights)
    distance = sum((weight - equal) ** 2 for weight in weights)
    return _nll(log_linear(votes, weights), truth) + PRIOR / len(truth) * distance


def _simplex(n_voters: int) -> list[tuple[float, ...]]:
    """All weight vectors of multiples of 1 / N_STEPS that sum to one."""
    grid = product(range(N_STEPS + 1), repeat=n_voters)
    return [tuple(step / N_STEPS for step in steps) for steps in grid if sum(steps) == N_STEPS]
