"""Pooling of votes: functions from the voters' probabilities to one distribution over the labels."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FLOOR = 1e-6
"""Smaller probabilities are raised to this value, so that one voter's zero does not exclude a label."""


def sharpen(probabilities: Array, temperature: float) -> Array:
    """``p ** (1 / temperature)``, renormalised over the last axis; same shape. Above 1 flattens, below 1 sharpens.

    Raises:
        ValueError: the temperature is not above zero.
    """
    if temperature <= 0:
        raise ValueError(f"a temperature must be above zero, got {temperature}")
    return softmax(np.log(np.maximum(probabilities, FLOOR)) / temperature)


def log_linear(votes: Sequence[Array], weights: Sequence[float]) -> Array:
    """Weighted log-linear pooling: the product of ``p_v ** w_v`` over the voters v, renormalised.

    ``votes`` holds one array (n, n_labels) per voter, ``weights`` one number >= 0 per voter; weights
    are divided by their sum first. (Genest and Zidek 1986, https://doi.org/10.1214/ss/1177013825)

    Raises:
        ValueError: no votes, not one weight per voter, a negative weight, or all weights zero.
    """
    shares = _shares(votes, weights)
    pooled = sum(share * np.log(np.maximum(vote, FLOOR)) for vote, share in zip(votes, shares, strict=True))
    return softmax(np.asarray(pooled))


def majority(votes: Sequence[Array], weights: Sequence[float]) -> Array:
    """Weighted majority: each voter's whole weight counts for its top label; shape (n, n_labels).

    Ties go to the label with the higher weighted mean probability: this mean is added with a factor too small
    to outweigh any difference in weight above 1e-6.

    Raises:
        ValueError: as ``log_linear``.
    """
    shares = _shares(votes, weights)
    counted = sum(share * _one_hot(vote) for vote, share in zip(votes, shares, strict=True))
    mean = sum(share * vote for vote, share in zip(votes, shares, strict=True))
    blended = np.asarray(counted) + FLOOR * np.asarray(mean)
    return np.asarray(blended / blended.sum(axis=-1, keepdims=True))


RULES: dict[str, Callable[[Sequence[Array], Sequence[float]], Array]] = {
    "log_linear": log_linear,
    "majority": majority,
}
"""The rules that ``vote`` in the settings names. A rule takes one array (n, n_labels) and one weight >= 0 for each
voter, and gives one distribution per sample: (n, n_labels)."""


def winners(pooled: Array) -> NDArray[np.int64]:
    """Index of the most probable label per row, shape (n,); of equal ones the first in the taxonomy's order."""
    return np.asarray(pooled.argmax(axis=-1))


def _shares(votes: Sequence[Array], weights: Sequence[float]) -> list[float]:
    if not votes or len(votes) != len(weights):
        raise ValueError(
            f"as many weights as voters and at least one, got {len(votes)} voters and {len(weights)} weights"
        )
    total = float(sum(weights))
    if min(weights) < 0 or total <= 0:
        raise ValueError(f"weights must not be negative and not all zero, got {list(weights)}")
    return [weight / total for weight in weights]


def _one_hot(vote: Array) -> Array:
    return np.asarray(np.eye(vote.shape[-1])[vote.argmax(axis=-1)])


def softmax(logits: Array) -> Array:
    """``logits`` as probabilities over the last axis; same shape."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
