"""The fitted vote of one task, as stored in the panel folder."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ensemble.voting.pooling import RULES, Array, sharpen
from mire.atomic_files import read_model, write_text


class VoterWeight(BaseModel):
    """One voter's temperature (> 0) and weight (>= 0).

    ``evidence`` holds quantiles, in equal steps from 0 to 1, of what the voter told of known samples that it had not
    been trained on; empty where it tells nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    temperature: float = Field(1.0, gt=0)
    weight: float = Field(1.0, ge=0)
    evidence: tuple[float, ...] = ()


class Weights(BaseModel):
    """How a task's votes are pooled; ``n_fitted`` out-of-fold samples were used to fit it (0: not fitted).

    ``temperature`` (> 0) is that of the pooled distribution: voters that are calibrated one by one are too
    modest together. ``uniform_share`` (0 to 1) of every answer is the uniform distribution. Neither changes a winner.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str = "log_linear"
    voters: dict[str, VoterWeight]
    temperature: float = Field(1.0, gt=0)
    uniform_share: float = Field(0.0, ge=0, le=1)
    n_fitted: int = 0

    @field_validator("method")
    @classmethod
    def _known_rule(cls, method: str) -> str:
        if method not in RULES:
            raise ValueError(f"no rule {method!r}, known are {', '.join(RULES)}")
        return method

    def pool(self, votes: dict[str, Array]) -> Array:
        """One distribution per sample from the votes of some or all voters, (n, n_labels) each.

        The weight of a missing voter goes to the others; if only voters of weight zero are left, they get
        equal weights. Labels that were added after training stand last, and only some voters' votes reach that far:
        these alone say how probable they are, and what is left is divided as if there were none.
        """
        n_trained = min(vote.shape[-1] for vote in votes.values())
        further = {name: vote for name, vote in votes.items() if vote.shape[-1] > n_trained}
        trained = {name: _divided(vote[..., :n_trained]) if further else vote for name, vote in votes.items()}
        pooled = sharpen(self._combine(trained), self.temperature)
        pooled = np.asarray((1 - self.uniform_share) * pooled + self.uniform_share / n_trained)
        if not further:
            return pooled
        added = self._combine(further)[..., n_trained:]
        return np.concatenate([pooled * (1 - added.sum(axis=-1, keepdims=True)), added], axis=-1)

    def _combine(self, votes: dict[str, Array]) -> Array:
        """The votes by the rule, each with its temperature and weight."""
        sharpened = [sharpen(vote, self.voters[name].temperature) for name, vote in votes.items()]
        weights = [self.voters[name].weight for name in votes]
        return RULES[self.method](sharpened, weights if any(weights) else [1.0] * len(weights))

    def familiarity(self, evidence: Mapping[str, float]) -> float | None:
        """The share of known samples (0 to 1) that look no more known than one with this evidence, by voter.

        Of several voters the one to whom it looks most known counts. None where none can tell.
        """
        told = {name: (value, self.voters[name].evidence) for name, value in evidence.items()}
        shares = [np.interp(value, known, np.linspace(0, 1, len(known))) for value, known in told.values() if known]
        return max(map(float, shares), default=None)

    def without_temperatures(self) -> "Weights":
        """The same weights on the votes as they are, with nothing of the uniform distribution."""
        voters = {name: voter.model_copy(update={"temperature": 1.0}) for name, voter in self.voters.items()}
        return self.model_copy(update={"voters": voters, "temperature": 1.0, "uniform_share": 0.0})


def _divided(votes: Array) -> Array:
    """Rows that sum to 1 again."""
    return np.asarray(votes / np.maximum(votes.sum(axis=-1, keepdims=True), 1e-300))


def read_weights(path: Path) -> Weights:
    """Read ``weights.json``.

    Raises:
        PanelError: it is missing or broken.
    """
    return read_model(path, Weights, next_step="finish the training, or fit the vote with python -m ensemble.fit")


def write_weights(weights: Weights, path: Path) -> None:
    """Write ``weights.json``."""
    write_text(path, weights.model_dump_json(indent=2) + "\n")


def as_array(rows: list[tuple[float, ...]]) -> Array:
    """The probabilities of n votes as one array (n, n_labels)."""
    return np.array(rows, dtype=np.float64)
