"""The voter that classifies a dialogue by its text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experts.dialogue_text.features import clean
from experts.dialogue_text.model import DialogueTextModel
from experts.linear import Attributions
from experts.voter import VoterClass, votes_in_order
from mire.budget import Cost
from mire.errors import PanelError
from mire.labels import Taxonomy
from mire.samples import Sample
from mire.settings import DialogueText
from mire.votes import Vote


@dataclass(frozen=True)
class DialogueTextVoter(VoterClass[DialogueText]):
    """Classifies what the user and the agent wrote; no neural model is called."""

    model: DialogueTextModel
    taxonomy: Taxonomy
    name: str = DialogueText.voter

    @classmethod
    def train(
        cls, samples: Sequence[Sample], *, taxonomy: Taxonomy, settings: DialogueText, seed: int
    ) -> "DialogueTextVoter":
        """Fit on labelled samples.

        Raises:
            PanelError: the samples have fewer than two labels.
        """
        labels = [str(sample.label) for sample in samples]
        if len(set(labels)) < 2:
            raise PanelError(f"{cls.name} needs samples of two labels to train on, got {len(set(labels))}")
        drafts = {label.name: label.drafts for label in taxonomy.live}
        model = DialogueTextModel(taxonomy.labels, seed=seed, settings=settings, drafts=drafts)
        return cls(model.fit(samples, labels), taxonomy)

    @classmethod
    def load(cls, folder: Path, *, taxonomy: Taxonomy, settings: DialogueText, base: Any = None) -> "DialogueTextVoter":
        """Read what ``save`` wrote.

        Raises:
            PanelError: trained for other labels.
        """
        model = DialogueTextModel.load(folder, settings)
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
        return votes_in_order(self.name, samples, usable, *self.model.judge(usable))

    def save(self, folder: Path) -> None:
        self.model.save(folder)

    def explain(self, samples: Sequence[Sample]) -> list[Attributions]:
        """Per sample the words that contribute most to the voter's top label."""
        return [self.model.explain(sample) for sample in samples]

    def label_words(self) -> dict[str, Attributions]:
        return self.model.label_words()
