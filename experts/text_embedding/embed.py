"""Embeddings of texts, kept by their content; of a fine-tuned encoder they are made anew."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from experts.text_embedding.encoder import Encoder, Vectors, make_encoder
from experts.text_embedding.fine_tuning import fine_tune, install
from experts.text_embedding.sentence_model import SentenceModel
from mire.cache import BlobCache
from mire.errors import PanelError
from mire.settings import TextEmbedding

if TYPE_CHECKING:
    from torch import Tensor

_BATCH_SIZE = 64
"""Texts between two writes to the cache: the most that a crash can lose."""


@dataclass(frozen=True)
class Embedder:
    """The encoder of some settings, with a cache; an empty text's vector is zero."""

    settings: TextEmbedding

    @cached_property
    def encoder(self) -> Encoder:
        return make_encoder(self.settings)

    @cached_property
    def identity(self) -> dict[str, str]:
        """What decides a vector: a panel keeps it, and is refused with another."""
        return {
            "encoder": self.settings.encoder,
            "version": self.encoder.version,
            "pooling": self.settings.pooling,
            "prefix": self.settings.prefix,
        }

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits that change with the encoder's weights and with how it is used, not with where it lies."""
        parts = [value for name, value in self.identity.items() if name != "encoder"]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension): the vectors of the texts' first ``max_characters`` characters."""
        cut = self._cut(texts)
        known = self._vectors([text for text in dict.fromkeys(cut) if text])
        n_dimensions = next((len(vector) for vector in known.values()), 1)
        return np.stack([known.get(text, np.zeros(n_dimensions, np.float32)) for text in cut])

    def fine_tuned(self, texts: Sequence[str], labels: Sequence[int], *, seed: int) -> "TunedEmbedder":
        """The same encoder, fine-tuned on labelled texts; arguments and errors as ``fine_tune``."""
        # Texts that differ behind the cut are one.
        pairs = dict.fromkeys(zip(self._cut(texts), labels, strict=True))
        layers = fine_tune(
            self.encoder.load_model(), [text for text, _ in pairs], [index for _, index in pairs], seed=seed
        )
        return TunedEmbedder(self.settings, layers)

    def _cut(self, texts: Sequence[str]) -> list[str]:
        return [text[: self.settings.max_characters] for text in texts]

    def _vectors(self, texts: Sequence[str]) -> dict[str, Vectors]:
        keys = {text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts}
        cache = BlobCache(f"text-embedding-{self.fingerprint}")
        kept = cache.get_many(list(keys.values()))
        fresh = [text for text in texts if keys[text] not in kept]
        for start in range(0, len(fresh), _BATCH_SIZE):
            batch = fresh[start : start + _BATCH_SIZE]
            found = {keys[text]: row.tobytes() for text, row in zip(batch, self.encoder.encode(batch), strict=True)}
            cache.put_many(found)
            kept.update(found)
        return {text: np.frombuffer(kept[key], dtype=np.float32) for text, key in keys.items()}


@dataclass(frozen=True, eq=False)
class TunedEmbedder(Embedder):
    """An encoder with ``layers`` that were trained on one task's examples, by name.

    It is loaded, and the layers are found not to fit it, when the first text comes; its vectors are not kept.
    """

    layers: Mapping[str, "Tensor"]

    def _vectors(self, texts: Sequence[str]) -> dict[str, Vectors]:
        return dict(zip(texts, self._model.encode(texts), strict=True)) if texts else {}

    @cached_property
    def _model(self) -> SentenceModel:
        model = self.encoder.load_model()
        try:
            install(model, self.layers)
        except (KeyError, RuntimeError) as error:
            raise PanelError(
                f"the panel's fine-tuned layers do not fit the encoder {self.settings.encoder}: {error}; train it again"
            ) from error
        return model
