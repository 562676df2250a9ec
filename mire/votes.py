"""Votes and predictions, as the packages exchange them."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mire.labels import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Vote:
    """One voter's probabilities for one sample.

    ``probabilities`` holds one number in [0, 1] for each live label of the task, in the taxonomy's order,
    and sums to 1; before it is pooled, only for the labels that the voter knows. ``problems`` says what the voter could
    not read in full: a picture, old turns. ``evidence`` is how much like its training samples the sample looks, on the
    voter's own scale; None where the voter does not tell. ``n_prompt_tokens`` are those of a language model's prompt; 0
    for other voters. ``state`` (size,) float32, of length 1, holds the language model's last states, while a voter
    follows this one.
    """

    voter: str
    sample_id: str
    probabilities: tuple[float, ...]
    problems: tuple[str, ...] = ()
    evidence: float | None = None
    n_prompt_tokens: int = 0
    state: "NDArray[np.float32] | None" = field(default=None, repr=False, compare=False)

    def of_labels(self, n_labels: int) -> "Vote":
        """The vote without its state, with probability 0 for labels that the voter does not know."""
        if self.state is None and len(self.probabilities) == n_labels:
            return self
        unknown = (0.0,) * (n_labels - len(self.probabilities))
        return replace(self, probabilities=self.probabilities + unknown, state=None)


@dataclass(frozen=True)
class Prediction:
    """The panel's answer for one sample.

    ``votes`` are the votes that were pooled; ``problems`` says why the answer is degraded (empty if it is not);
    ``n_calls`` and ``n_output_tokens`` are what the ledger booked. ``familiarity`` is as ``Weights.familiarity``.
    """

    sample_id: str
    task: Task
    label: str
    probabilities: tuple[float, ...]
    votes: tuple[Vote, ...]
    problems: tuple[str, ...]
    n_calls: int
    n_output_tokens: int
    familiarity: float | None = None
