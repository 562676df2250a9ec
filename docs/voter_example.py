"""Which characters go with which label."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experts.linear import Attributions
from experts.voter import VoterClass
from mire.budget import Cost
from mire.labels import Taxonomy
from mire.samples import Sample
from mire.settings import Characters
from mire.votes import Vote


@dataclass(frozen=True)
class CharactersVoter(VoterClass[Characters]):
    """``counts[label][character]``: how often it stands in a dialogue of the label."""

    taxonomy: Taxonomy
    counts: dict[str, dict[str, int]]
    smoothing: float
    name: str = Characters.voter

    @classmethod
    def train(
        cls, samples: Sequence[Sample], *, taxonomy: Taxonomy, settings: Characters, seed: int
    ) -> "CharactersVoter":
        counts = {label: Counter() for label in taxonomy.labels}
        for sample in samples:
            counts[str(sample.label)].update(_text(sample))
        return cls(taxonomy, counts, settings.smoothing)

    @classmethod
    def load(cls, folder: Path, *, taxonomy: Taxonomy, settings: Characters, base: Any = None) -> "CharactersVoter":
        counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
        return cls(taxonomy, counts, settings.smoothing)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "counts.json").write_text(json.dumps(self.counts, ensure_ascii=False), encoding="utf-8")

    @property
    def cost(self) -> Cost:
        return Cost(calls=0, output_tokens=0)

    @property
    def parameters(self) -> dict[str, int]:
        return {}

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        return [self._vote(sample) if _text(sample) else None for sample in samples]

    def explain(self, samples: Sequence[Sample]) -> list[Attributions]:
        return [self._words(_text(sample), int(self._logits(_text(sample)).argmax())) for sample in samples]

    def label_words(self) -> dict[str, Attributions]:
        return {
            label: self._words("".join(self.counts[label]), place)[:8]
            for place, label in enumerate(self.taxonomy.labels)
        }

    def _vote(self, sample: Sample) -> Vote:
        logits = self._logits(_text(sample))
        chances = np.exp(logits - logits.max())
        return Vote(self.name, sample.id, tuple(map(float, chances / chances.sum())))

    def _logits(self, text: str) -> np.ndarray:
        return self._added(text).sum(axis=1)

    def _words(self, text: str, label: int) -> Attributions:
        added = dict(zip(text, map(float, self._added(text)[label]), strict=True))
        return sorted(added.items(), key=lambda pair: -pair[1])

    def _added(self, text: str) -> np.ndarray:
        """What each character adds to each label's logit: (n_labels, len(text))."""
        seen = [[self.counts[label].get(character, 0) for character in text] for label in self.taxonomy.labels]
        smooth = np.array(seen, dtype=float) + self.smoothing
        return np.log(smooth / smooth.sum(axis=0))


def _text(sample: Sample) -> str:
    return "".join(turn.text for turn in sample.turns)
