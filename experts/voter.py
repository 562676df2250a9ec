"""What the panel asks of a voter, and of its class before there is one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from experts.linear import Attributions
from mire.budget import Cost
from mire.doctor.check import Check
from mire.labels import Task, Taxonomy
from mire.privacy.pictures import TextLine
from mire.samples import Sample
from mire.settings import VoterStage
from mire.votes import Vote

Array = NDArray[np.float64]
Found = TypeVar("Found")
Choices = TypeVar("Choices", bound=VoterStage)
"""The settings stage of a voter's class."""


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


@runtime_checkable
class Follower(Protocol):
    """A voter that votes on what another one's pass found, without a model call of its own."""

    @property
    def leader(self) -> str:
        """The name of the voter that it follows."""

    def after(self, votes: Sequence[Vote | None]) -> Voter:
        """The voter that votes on the samples of these votes of the leader's, and abstains on others."""


class SavedVoter(Voter, Protocol):
    """A voter that is trained in this process and can save itself."""

    def save(self, folder: Path) -> None:
        """Write everything that ``load`` needs, in readable files without pickle."""


class VoterClass(Generic[Choices]):
    """What the class of a voter answers before a voter is loaded; ``settings`` is its own stage, not all settings.

    The class methods that a subclass leaves out stand for a voter without neural models that reads nothing but the
    sample and its own folder.
    """

    @classmethod
    def train(cls, samples: Sequence[Sample], *, taxonomy: Taxonomy, settings: Choices, seed: int) -> SavedVoter:
        """Learn from labelled samples in this process.

        Raises:
            PanelError: the samples are too few, or none of them can be read.
        """
        raise NotImplementedError(f"{cls.__name__} is not trained in this process")

    @classmethod
    def load(cls, folder: Path, *, taxonomy: Taxonomy, settings: Choices, base: Any = None) -> Voter:
        """Read what training wrote; ``base`` is what ``load_base`` gave.

        Raises:
            PanelError: the folder is damaged, or holds a voter of other labels or settings.
        """
        raise NotImplementedError

    @classmethod
    def check(cls, folder: Path, settings: Choices) -> None:
        """Refuse what can be told from the folder's small files alone.

        Raises:
            PanelError: the voter in ``folder`` does not fit the settings.
        """

    @classmethod
    def load_base(cls, settings: Choices) -> Any:
        """What the voters of both tasks share: loaded once per panel."""
        return None

    @classmethod
    def sizes(cls, settings: Choices, task: Task) -> dict[str, int]:
        """As ``Voter.parameters``, from shapes alone: nothing is loaded.

        Raises:
            SettingsError: a model's shape is not known here.
        """
        return {}

    @classmethod
    def weights_checks(cls, settings: Choices) -> Iterable[Check]:
        """For every model that it loads from elsewhere: where the weights are, or how to get them."""
        return ()

    @classmethod
    def digest(cls, settings: Choices) -> str:
        """A text that changes with whatever decides a vote outside the panel's folder, the code and the libraries."""
        return ""

    @classmethod
    def read_lines(cls, paths: Sequence[Path]) -> Mapping[Path, Sequence[TextLine]]:
        """The lines of text that it reads on pictures, from top to bottom; none of one that it cannot read."""
        return {}


def with_first_picture(
    samples: Sequence[Sample], read: Callable[[Sequence[Path]], Mapping[Path, Found]]
) -> tuple[list[Sample], list[Found]]:
    """The samples whose first picture ``read`` finds something in, and what it finds, in their order."""
    found = read([sample.images[0] for sample in samples if sample.images])
    usable = [sample for sample in samples if sample.images and sample.images[0] in found]
    return usable, [found[sample.images[0]] for sample in usable]


def votes_in_order(
    name: str, samples: Sequence[Sample], usable: Sequence[Sample], probabilities: Array, evidence: Array | None = None
) -> list[Vote | None]:
    """One vote of the voter ``name`` per sample, in order; None for samples that are not among the usable ones.

    ``probabilities`` (n_usable, n_labels) and ``evidence`` (n_usable,) are those of the usable samples.
    """
    told = [None] * len(usable) if evidence is None else evidence.tolist()
    votes = {
        sample.id: Vote(name, sample.id, tuple(row), evidence=each)
        for sample, row, each in zip(usable, probabilities.tolist(), told, strict=True)
    }
    return [votes.get(sample.id) for sample in samples]


@runtime_checkable
class Explainer(Protocol):
    """A voter that can explain which words decided."""

    def explain(self, samples: Sequence[Sample]) -> list[Attributions]:
        """Per sample the words that contribute most to the voter's top label; empty if it abstains."""

    def label_words(self) -> dict[str, Attributions]:
        """Per label the words that contribute most to it in general."""
