"""What the panel asks of a voter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from experts.linear import Attributions
from mire.budget import Cost
from mire.labels import Taxonomy
from mire.samples import Sample
from mire.votes import Vote


class Voter(Protocol):
    """A trained voter of one task.

    ``parameters`` counts the neural weights that it loads, by part; parts that several voters share carry
    the same name, so that the panel counts them once.
    """

    @property
    def name(self) -> str:
        """As the settings call it."""

    @property
    def taxonomy(self) -> Taxonomy:
        """The labels, and the order of a vote's probabilities."""

    @property
    def cost(self) -> Cost:
        """What one vote books in the ledger."""

    @property
    def parameters(self) -> dict[str, int]:
        """Neural parameters by part."""

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        """One vote for each sample, in order; None where the voter has nothing to go by."""


class SavedVoter(Voter, Protocol):
    """A voter that is trained in this process and written by itself."""

    def save(self, folder: Path) -> None:
        """Write everything that a later ``load`` needs, readable, without pickle."""


@runtime_checkable
class Explainer(Protocol):
    """A voter that can say which words decided."""

    def explain(self, samples: Sequence[Sample]) -> list[Attributions]:
        """For each sample the words that speak most for the voter's own first label; empty where it abstains."""

    def label_words(self) -> dict[str, Attributions]:
        """For each label the words that speak most for it in general."""
