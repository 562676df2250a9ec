"""LightGBM on picture embeddings as a voter of the image task."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experts.clip_lightgbm.embed import Embedder
from experts.trees import TREES_DIGEST, load_trees, save_trees
from experts.voter import VoterClass, votes_in_order, with_first_picture
from mire.atomic_files import write_text
from mire.budget import Cost, answer_tokens
from mire.doctor.check import Check
from mire.errors import PanelError
from mire.labels import Task, Taxonomy
from mire.model_sizes import count_clip
from mire.samples import Sample
from mire.settings import Clip
from mire.votes import Vote

if TYPE_CHECKING:
    from lightgbm import Booster

_MANY = 10_000
"""Of fewer samples trees grow on one thread (0: one per core): at every split threads wait for each other."""
_MODEL_FILE = "model.txt"
_META_FILE = "meta.json"


@dataclass(frozen=True)
class ClipLightgbmVoter(VoterClass[Clip]):
    """Classifies the sample's first picture; the booster's classes are the live labels, in order."""

    embedder: Embedder
    booster: "Booster"
    taxonomy: Taxonomy
    name: str = Clip.voter

    @classmethod
    def train(cls, samples: Sequence[Sample], *, taxonomy: Taxonomy, settings: Clip, seed: int) -> "ClipLightgbmVoter":
        """Fit the trees on labelled samples; those without a readable picture are left out.

        Raises:
            PanelError: no sample has a readable picture.
        """
        import lightgbm

        embedder = Embedder(settings)
        usable, vectors = with_first_picture(samples, embedder.embed)
        if not usable:
            raise PanelError(f"{cls.name} needs pictures to train on, but none of the samples' pictures can be read")
        data = lightgbm.Dataset(np.stack(vectors), label=[taxonomy.index(str(sample.label)) for sample in usable])
        own = {"num_class": len(taxonomy.labels), "seed": seed, "num_threads": int(len(usable) < _MANY)}
        parameters = {**settings.trees.parameters, **own}
        return cls(embedder, lightgbm.train(parameters, data, num_boost_round=settings.trees.rounds), taxonomy)

    @classmethod
    def load(cls, folder: Path, *, taxonomy: Taxonomy, settings: Clip, base: Any = None) -> "ClipLightgbmVoter":
        """Read what ``save`` wrote.

        Raises:
            PanelError: trained for other labels or on another embedding.
        """
        embedder = Embedder(settings)
        meta = json.loads((folder / _META_FILE).read_text(encoding="utf-8"))
        digest = meta.pop(TREES_DIGEST, None)
        want = {"taxonomy": taxonomy.fingerprint, "model": settings.model, "weights": settings.weights}
        if meta != want:
            raise PanelError(f"{folder} was trained with {meta}, but {want} is asked for; train it again")
        return cls(embedder, load_trees(folder / _MODEL_FILE, n_classes=len(taxonomy.labels), digest=digest), taxonomy)

    @classmethod
    def sizes(cls, settings: Clip, task: Task) -> dict[str, int]:
        return {f"clip {settings.model}": count_clip(settings)}

    @classmethod
    def weights_checks(cls, settings: Clip) -> Iterator[Check]:
        from mire.doctor.weights import clip_check

        yield clip_check(settings)

    @classmethod
    def digest(cls, settings: Clip) -> str:
        return Embedder(settings).fingerprint

    @property
    def cost(self) -> Cost:
        return Cost(1, answer_tokens(self.taxonomy.labels))

    @property
    def parameters(self) -> dict[str, int]:
        return {f"clip {self.embedder.settings.model}": self.embedder.n_parameters}

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        """One vote per sample; None if the sample has no readable picture."""
        usable, vectors = with_first_picture(samples, self.embedder.embed)
        if not usable:
            return [None] * len(samples)
        rows = np.asarray(self.booster.predict(np.stack(vectors)))
        return votes_in_order(self.name, samples, usable, rows)

    def save(self, folder: Path) -> None:
        """LightGBM's own text format, and what the trees were trained for."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = self.embedder.settings
        meta = {
            "taxonomy": self.taxonomy.fingerprint,
            "model": settings.model,
            "weights": settings.weights,
            TREES_DIGEST: save_trees(self.booster, folder / _MODEL_FILE),
        }
        write_text(folder / _META_FILE, json.dumps(meta, indent=2) + "\n")
