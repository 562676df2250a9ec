"""The fitted vote of one task, as stored in the panel folder."""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ensemble.vote import Array, log_linear, majority, sharpen
from mire.errors import PanelError

Method = Literal["log_linear", "majority"]


class VoterWeight(BaseModel):
    """One voter's temperature (> 0) and weight (>= 0)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = 1.0
    weight: float = 1.0


class Weights(BaseModel):
    """How a task's votes are pooled; ``n_fitted`` out-of-fold samples were used to fit it (0: not fitted).

    ``temperature`` (> 0) is applied to the pooled distribution: pooling voters that are calibrated one by one
    is underconfident. It changes no winner.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = "log_linear"
    voters: dict[str, VoterWeight]
    temperature: float = 1.0
    n_fitted: int = 0

    def pool(self, votes: dict[str, Array]) -> Array:
        """Pool the votes of some or all voters, (n, n_labels) each, into one array (n, n_labels).

        The weight of a missing voter goes to the others; if only voters of weight zero are left, they get
        equal weights.
        """
        ballots = [self.voters[name] for name in votes]
        sharpened = [sharpen(vote, ballot.temperature) for vote, ballot in zip(votes.values(), ballots, strict=True)]
        weights = [ballot.weight for ballot in ballots]
        if not any(weights):
            weights = [1.0] * len(weights)
        pooled = (majority if self.method == "majority" else log_linear)(sharpened, weights)
        return sharpen(pooled, self.temperature)

    def without_temperatures(self) -> "Weights":
        """The same weights with every temperature set to 1."""
        ballots = {name: ballot.model_copy(update={"temperature": 1.0}) for name, ballot in self.voters.items()}
        return self.model_copy(update={"voters": ballots, "temperature": 1.0})


def read_weights(path: Path) -> Weights:
    """Read ``weights.json``.

    Raises:
        PanelError: it is missing or broken.
    """
    try:
        return Weights.model_validate_json(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError as error:
        raise PanelError(f"{path} is missing: fit the vote with python -m ensemble.fit") from error
    except ValidationError as error:
        raise PanelError(f"{path} is broken: {error.errors()[0]['msg']}") from error


def write_weights(weights: Weights, path: Path) -> None:
    """Write ``weights.json``."""
    path.write_text(weights.model_dump_json(indent=2) + "\n", encoding="utf-8")


def as_array(rows: list[tuple[float, ...]]) -> Array:
    """The probabilities of n votes as one array (n, n_labels)."""
    return np.array(rows, dtype=np.float64)
