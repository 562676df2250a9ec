"""Fit the vote on out-of-fold votes: one temperature and one weight per voter."""

from collections.abc import Iterable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ensemble.voting.oof_votes import OutOfFoldVotes, read_out_of_fold_votes
from ensemble.voting.pooling import Array, log_linear, sharpen
from ensemble.voting.weights import VoterWeight, Weights, write_weights
from mire.labels import Task
from mire.panel_folder import PanelFolder
from mire.settings import Settings

PRIOR_SD = 0.5
"""Standard deviation of the prior on a temperature's logarithm: few votes move it little from 1."""
MAX_LOG_TEMPERATURE = 3.0
N_STEPS = 10
"""Weights are tried in steps of one tenth."""
SEED = 0
N_PARTS = 5
"""Parts of a cross-fit: the weights for each part are fitted on the other parts."""
N_QUANTILES = 21
"""Of the known samples' evidence."""
TOWARDS_BEST = 0.25
"""Standard errors of mean log-loss that other weights must gain before a voter beside the best one counts."""


def fit_weights(oof: OutOfFoldVotes, method: str) -> Weights:
    """The voters' temperatures, their weights, then the temperature of the pool.

    A temperature minimises the negative log-likelihood (https://arxiv.org/abs/1706.04599) with a log-normal prior
    around 1. Weights come from the simplex in steps of ``1 / N_STEPS``: of those whose mean log-loss lies within
    ``TOWARDS_BEST`` standard errors of the least, the ones nearest to the best single voter (the one-standard-error
    rule of Breiman et al. 1984, with the lone voter as the simpler model). Every answer keeps ``1 / (n + 2)`` of the
    uniform distribution: n right answers in a row are no proof that the next one is (Laplace's rule of succession).
    ``scripts/benchmarks/vote_estimators.py`` compares all this with other choices.
    """
    temperatures = [fit_temperature(vote, oof.truth) for vote in oof.votes.values()]
    sharpened = [sharpen(vote, each) for vote, each in zip(oof.votes.values(), temperatures, strict=True)]
    chosen = _choose(sharpened, oof.truth)
    pooled = log_linear(sharpened, chosen)
    return Weights(
        method=method,
        voters={
            name: VoterWeight(temperature=temperature, weight=weight)
            for name, temperature, weight in zip(oof.votes, temperatures, chosen, strict=True)
        },
        temperature=fit_temperature(pooled, oof.truth),
        uniform_share=1 / (len(oof.ids) + 2),
        n_fitted=len(oof.ids),
    )


def fit_temperature(vote: Array, truth: NDArray[np.int64]) -> float:
    """The temperature of most posterior probability for votes (n, n_labels) with the right labels ``truth`` (n,)."""
    from scipy.optimize import minimize_scalar

    def cost(log_temperature: float) -> float:
        losses = _log_losses(sharpen(vote, float(np.exp(log_temperature))), truth)
        return float(losses.sum()) + log_temperature**2 / (2 * PRIOR_SD**2)

    found = minimize_scalar(cost, bounds=(-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE), method="bounded")
    return round(float(np.exp(found.x)), 4)


def _choose(votes: list[Array], truth: NDArray[np.int64]) -> tuple[float, ...]:
    """Weights as ``fit_weights`` says; ``votes`` are sharpened already."""
    grid = _simplex(len(votes))
    losses = {weights: _log_losses(log_linear(votes, weights), truth) for weights in grid}
    least = min(grid, key=lambda weights: losses[weights].mean())
    best = max(range(len(votes)), key=lambda voter: -losses[_alone(voter, len(votes))].mean())

    def close_enough(weights: tuple[float, ...]) -> bool:
        excess = losses[weights] - losses[least]
        return bool(excess.mean() <= TOWARDS_BEST * excess.std() / np.sqrt(len(truth)))

    return max(filter(close_enough, grid), key=lambda weights: (weights[best], -losses[weights].mean()))


def _alone(voter: int, n_voters: int) -> tuple[float, ...]:
    return tuple(float(each == voter) for each in range(n_voters))


def _log_losses(probabilities: Array, truth: NDArray[np.int64]) -> Array:
    """Negative log-likelihood of each right label, (n,)."""
    return np.asarray(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)))


def equal_weights(names: Iterable[str], method: str) -> Weights:
    """Every voter alike and as it is: where there is nothing to fit on."""
    return Weights(method=method, voters={name: VoterWeight() for name in names})


def weigh(oof: OutOfFoldVotes, settings: Settings, task: Task) -> Weights:
    """The weights that the settings give for the task's voters, or fitted ones; with the samples' evidence."""
    given = settings.weights.get(task)
    if given is None:
        return _knowing(oof, fit_weights(oof, settings.vote))
    shares: dict[str, float] = {str(name): weight for name, weight in given.items()}
    voters = {name: VoterWeight(weight=shares.get(name, 0.0)) for name in oof.votes}
    return _knowing(oof, Weights(method=settings.vote, voters=voters))


def _knowing(oof: OutOfFoldVotes, weights: Weights) -> Weights:
    """The weights with quantiles of each voter's evidence."""
    steps = np.linspace(0, 1, N_QUANTILES)
    known = {name: tuple(np.quantile(values, steps).round(6).tolist()) for name, values in oof.evidence.items()}
    knowing = {name: weights.voters[name].model_copy(update={"evidence": values}) for name, values in known.items()}
    return weights.model_copy(update={"voters": {**weights.voters, **knowing}})


def fit_panel(panel: PanelFolder, task: Task) -> Weights:
    """Fit one task's weights on the votes in the panel folder, and write them there.

    Thresholds that were found with other weights go.

    Raises:
        PanelError: the votes are missing or broken, or the weights lie behind a link that leads out of the panel.
    """
    panel.check_links(panel.weights(task))
    weights = weigh(read_out_of_fold_votes(panel, task), panel.settings(), task)
    panel.thresholds(task).unlink(missing_ok=True)
    write_weights(weights, panel.weights(task))
    return weights


def keep_equal_weights(panel: PanelFolder, task: Task) -> Weights:
    """Give every voter of a task the same weight, where no sample was held out to fit on."""
    settings = panel.settings()
    weights = equal_weights(settings.panel.voters(task), settings.vote)
    panel.thresholds(task).unlink(missing_ok=True)
    write_weights(weights, panel.weights(task))
    return weights


def cross_fit_parts(n: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of rows: those to score, and all others, to learn from."""
    parts = np.random.default_rng(SEED).permutation(n) % N_PARTS
    return [(np.flatnonzero(parts == part), np.flatnonzero(parts != part)) for part in range(min(N_PARTS, n))]


def cross_fit(oof: OutOfFoldVotes, settings: Settings, task: Task) -> list[tuple[NDArray[np.int64], Weights]]:
    """For each part of the samples, weights that were fitted on the other parts; equal ones where there are none."""
    return [
        (scored, weigh(oof.rows(learned), settings, task) if len(learned) else equal_weights(oof.votes, settings.vote))
        for scored, learned in cross_fit_parts(len(oof.ids))
    ]


def _simplex(n_voters: int) -> list[tuple[float, ...]]:
    """All weight vectors of multiples of 1 / N_STEPS that sum to one."""
    grid = product(range(N_STEPS + 1), repeat=n_voters)
    return [tuple(step / N_STEPS for step in steps) for steps in grid if sum(steps) == N_STEPS]
