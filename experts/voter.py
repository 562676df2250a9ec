"""The interfaces that the panel requires of a voter."""

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

    ``parameters`` counts the neural weights that it loads, by part; a part that several voters share has
    the same name in each, so that the panel counts it once.
    """

    @property
    def name(self) -> str:
        """The voter's name in the settings."""

    @property
    def taxonomy(self) -> Taxonomy:
        """The labels, and the order of a vote's probabilities."""

    @property
    def cost(self) -> Cost:
        """Calls and output tokens that one vote books in the ledger."""

    @property
    def parameters(self) -> dict[str, int]:
        """Neural parameters by part."""

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        """One vote per sample, in order; None if the voter abstains because the sample has no input for it."""


class SavedVoter(Voter, Protocol):
    """A voter that is trained in this process and can save itself."""

    def save(self, folder: Path) -> None:
        """Write everything that ``load`` needs, in readable files without pickle."""


@runtime_checkable
class Explainer(Protocol):
    """A voter that can explain which words decided."""

    def explain(self, samples: Sequence[Sample]) -> list[Attributions]:
        """Per sample the words that contribute most to the voter's top label; empty if it abstains."""

    def label_words(self) -> dict[str, Attributions]:
        """Per label the words that contribute most to it in general."""
