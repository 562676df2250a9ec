"""LightGBM on picture embeddings as a voter of the image task."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experts.clip_lightgbm.embed import Embedder
from experts.trees import load_trees
from mire.budget import Cost, answer_tokens
from mire.errors import PanelError
from mire.labels import Taxonomy
from mire.samples import Sample
from mire.settings import Clip
from mire.votes import Vote

if TYPE_CHECKING:
    from lightgbm import Booster

N_ROUNDS = 60
PARAMETERS = {
    "objective": "multiclass",
    "learning_rate": 0.1,
    "num_leaves": 7,
    "min_data_in_leaf": 5,
    "feature_fraction": 0.3,
    "lambda_l2": 1.0,
    "verbosity": -1,
    # Both are needed for the same trees on every run.
    "deterministic": True,
    "force_row_wise": True,
}
_MODEL_FILE = "model.txt"
_META_FILE = "meta.json"


@dataclass(frozen=True)
class ClipLightgbmVoter:
    """Classifies the sample's first picture; the booster's classes are the live labels, in order."""

    embedder: Embedder
    booster: "Booster"
    taxonomy: Taxonomy
    name: str = "clip_lightgbm"

    @classmethod
    def train(cls, samples: Sequence[Sample], *, taxonomy: Taxonomy, settings: Clip, seed: int) -> "ClipLightgbmVoter":
        """Fit the trees on labelled samples; those without a readable picture are left out.

        Raises:
            PanelError: no sample has a readable picture.
        """
        import lightgbm

        embedder = Embedder(settings)
        vectors = embedder.embed([sample.images[0] for sample in samples if sample.images])
        usable = [sample for sample in samples if sample.images and sample.images[0] in vectors]
        if not usable:
            raise PanelError("clip_lightgbm needs pictures to train on, but none of the samples' pictures can be read")
        data = lightgbm.Dataset(
            np.stack([vectors[sample.images[0]] for sample in usable]),
            label=[taxonomy.index(str(sample.label)) for sample in usable],
        )
        parameters = {**PARAMETERS, "num_class": len(taxonomy.labels), "seed": seed}
        return cls(embedder, lightgbm.train(parameters, data, num_boost_round=N_ROUNDS), taxonomy)

    @classmethod
    def load(cls, folder: Path, *, taxonomy: Taxonomy, settings: Clip) -> "ClipLightgbmVoter":
        """Read what ``save`` wrote.

        Raises:
            PanelError: trained for other labels or on another embedding.
        """
        embedder = Embedder(settings)
        meta = json.loads((folder / _META_FILE).read_text(encoding="utf-8"))
        want = {"taxonomy": taxonomy.fingerprint, "model": settings.model, "weights": settings.weights}
        if meta != want:
            raise PanelError(f"{folder} was trained with {meta}, but {want} is asked for; train it again")
        return cls(embedder, load_trees(folder / _MODEL_FILE), taxonomy)

    @property
    def cost(self) -> Cost:
        return Cost(1, answer_tokens(self.taxonomy.labels))

    @property
    def parameters(self) -> dict[str, int]:
        return {f"clip {self.embedder.settings.model}": self.embedder.n_parameters}

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        """One vote per sample; None if the sample has no readable picture."""
        vectors = self.embedder.embed([sample.images[0] for sample in samples if sample.images])
        usable = [sample for sample in samples if sample.images and sample.images[0] in vectors]
        if not usable:
            return [None] * len(samples)
        rows = np.asarray(self.booster.predict(np.stack([vectors[sample.images[0]] for sample in usable])))
        votes = {
            sample.id: Vote(self.name, sample.id, tuple(map(float, row)))
            for sample, row in zip(usable, rows, strict=True)
        }
        return [votes.get(sample.id) for sample in samples]

    def save(self, folder: Path) -> None:
        """LightGBM's own text format, and what the trees were trained for."""
        folder.mkdir(parents=True, exist_ok=True)
        self.booster.save_model(folder / _MODEL_FILE)
        settings = self.embedder.settings
        meta = {"taxonomy": self.taxonomy.fingerprint, "model": settings.model, "weights": settings.weights}
        (folder / _META_FILE).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
