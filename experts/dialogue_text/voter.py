"""The voter that classifies a dialogue by its text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experts.dialogue_text.features import clean
from experts.dialogue_text.model import DialogueTextModel
from experts.linear import Attributions
from mire.budget import Cost
from mire.errors import PanelError
from mire.labels import Taxonomy
from mire.samples import Sample
from mire.votes import Vote


@dataclass(frozen=True)
class DialogueTextVoter:
    """Classifies what the user and the agent wrote; no neural model is called."""

    model: DialogueTextModel
    taxonomy: Taxonomy
    name: str = "dialogue_text"

    @classmethod
    def train(cls, samples: Sequence[Sample], *, taxonomy: Taxonomy, seed: int) -> "DialogueTextVoter":
        """Fit on labelled samples.

        Raises:
            PanelError: the samples have fewer than two labels.
        """
        labels = [str(sample.label) for sample in samples]
        if len(set(labels)) < 2:
            raise PanelError(f"dialogue_text needs samples of two labels to train on, got {len(set(labels))}")
        return cls(DialogueTextModel(taxonomy.labels, seed=seed).fit(samples, labels), taxonomy)

    @classmethod
    def load(cls, folder: Path, *, taxonomy: Taxonomy) -> "DialogueTextVoter":
        """Read what ``save`` wrote.

        Raises:
            PanelError: trained for other labels.
        """
        model = DialogueTextModel.load(folder)
        if model.labels != taxonomy.labels:
            raise PanelError(f"{folder} was trained for other labels; train it again")
        return cls(model, taxonomy)

    @property
    def cost(self) -> Cost:
        return Cost(0, 0)

    @property
    def parameters(self) -> dict[str, int]:
        return {}

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        """One vote per sample; None if the dialogue has no text."""
        usable = [sample for sample in samples if any(clean(turn.text) for turn in sample.turns)]
        if not usable:
            return [None] * len(samples)
        rows = self.model.probabilities(usable)
        votes = {
            sample.id: Vote(self.name, sample.id, tuple(map(float, row)))
            for sample, row in zip(usable, rows, strict=True)
        }
        return [votes.get(sample.id) for sample in samples]

    def save(self, folder: Path) -> None:
        self.model.save(folder)

    def explain(self, samples: Sequence[Sample]) -> list[Attributions]:
        """Per sample the words that contribute most to the voter's top label."""
        return [self.model.explain(sample) for sample in samples]

    def label_words(self) -> dict[str, Attributions]:
        return self.model.label_words()
