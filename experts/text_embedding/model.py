"""Ridge regression on embeddings and character n-grams, learned from labelled texts and from the labels' own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED

import numpy as np
from numpy.typing import NDArray

from experts.private_grams import forget_private_grams
from experts.text_embedding.embed import Embedder, TunedEmbedder
from experts.text_embedding.fine_tuning import enough_examples
from experts.text_embedding.texts import PARTS, Texts, label_texts
from experts.weight_files import check_safetensors, load_skops, readable_as
from mire.atomic_files import write_text
from mire.errors import PanelError
from mire.labels import Label, Task

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from torch import Tensor

_SKLEARN_FILE, _LAYERS_FILE, _META_FILE = "linear.skops", "encoder_layers.safetensors", "meta.json"


@dataclass
class TextEmbeddingModel:
    """Classifies texts. ``labels`` are the names of the live labels; probabilities are in their order."""

    task: Task
    labels: tuple[str, ...]
    embedder: Embedder
    _parts: dict[str, Any] = field(default_factory=dict, repr=False)

    def fit(
        self, texts: Sequence[Texts], labels: Sequence[str], live: Sequence[Label], *, seed: int
    ) -> "TextEmbeddingModel":
        """Fit on labelled texts, which may be none, and on what ``live``, the labels in order, say of themselves.

        Where the settings say so, the encoder is fine-tuned first, if there are enough examples.
        """
        from sklearn.linear_model import Ridge

        chosen = self.embedder.settings
        if chosen.ridge(self.task).fine_tune and enough_examples(labels):
            self.embedder = self._fine_tuned(texts, labels, live, seed=seed)
        described = [
            (own, weight, index)
            for index, label in enumerate(live)
            for own, weight in label_texts(label, self.task, chosen)
        ]
        known = [*texts, *(own for own, _, _ in described)]
        indices = [*(self.labels.index(label) for label in labels), *(index for _, _, index in described)]
        self._parts = {"vectorizers": _fit_vectorizers(known, PARTS[self.task], chosen.grams)}
        targets = np.where(np.eye(len(self.labels), dtype=bool)[indices], 1.0, -1.0)
        weights = [1.0] * len(texts) + [weight for _, weight, _ in described]
        # An exact solution: its cost follows the number of texts, not of columns.
        linear = Ridge(alpha=chosen.ridge(self.task).penalty, solver="cholesky")
        self._parts["linear"] = linear.fit(self._input(known).toarray(), targets, sample_weight=weights)
        sides = (texts, [own for own, _, _ in described])
        by_part = ({name: [own[name] for own in side] for name in PARTS[self.task]} for side in sides)
        self._parts["vectorizers"] = forget_private_grams(linear, self._parts["vectorizers"], *by_part)
        return self

    def _fine_tuned(
        self, texts: Sequence[Texts], labels: Sequence[str], live: Sequence[Label], *, seed: int
    ) -> TunedEmbedder:
        """The encoder, fine-tuned on every part; of what stands for a label only on its name and description."""
        names = [next(label_texts(label, self.task, self.embedder.settings))[0] for label in live]
        pairs = [
            (text, self.labels.index(label))
            for own, label in zip([*texts, *names], [*labels, *self.labels], strict=True)
            for text in own.values()
            if text
        ]
        return self.embedder.fine_tuned([text for text, _ in pairs], [index for _, index in pairs], seed=seed)

    def probabilities(self, texts: Sequence[Texts]) -> NDArray[np.float64]:
        """Shape (len(texts), len(labels)), rows sum to 1."""
        from scipy.special import softmax

        scores = self._parts["linear"].predict(self._input(texts))
        return np.asarray(softmax(self.embedder.settings.sharpness * scores, axis=1))

    def save(self, folder: Path) -> None:
        """scikit-learn parts as skops, fine-tuned layers as safetensors, labels and the encoder's identity as JSON."""
        import skops.io

        folder.mkdir(parents=True, exist_ok=True)
        skops.io.dump(self._parts, folder / _SKLEARN_FILE, compression=ZIP_DEFLATED)
        layers = dict(self.embedder.layers) if isinstance(self.embedder, TunedEmbedder) else {}
        meta = {"task": self.task, "labels": self.labels, "fine_tuned": bool(layers), **self.embedder.identity}
        write_text(folder / _META_FILE, json.dumps(meta, ensure_ascii=False, indent=2) + "\n")
        _save_layers(layers, folder / _LAYERS_FILE)
        readable_as(folder / _LAYERS_FILE, folder / _META_FILE)

    @classmethod
    def load(cls, folder: Path, embedder: Embedder) -> "TextEmbeddingModel":
        """Read what ``save`` wrote.

        Raises:
            PanelError: trained with another encoder, or as ``load_skops``.
        """
        meta = json.loads((folder / _META_FILE).read_text(encoding="utf-8"))
        before = {name: meta[name] for name in embedder.identity}
        # The same weights may lie elsewhere.
        if any(before[name] != value for name, value in embedder.identity.items() if name != "encoder"):
            raise PanelError(
                f"{folder} was trained with {before}, but {embedder.identity} is asked for; train it again, or bring "
                "the encoder that it was trained with"
            )
        if meta.get("fine_tuned"):
            embedder = TunedEmbedder(embedder.settings, _load_layers(folder / _LAYERS_FILE))
        parts = load_skops(folder / _SKLEARN_FILE)
        return cls(meta["task"], tuple(meta["labels"]), embedder, parts)

    def _input(self, texts: Sequence[Texts]) -> "csr_matrix":
        """Shape (len(texts), n_grams + n_parts * dimension)."""
        from scipy.sparse import csr_matrix, hstack

        names = PARTS[self.task]
        vectors = self.embedder.embed([own[name] for own in texts for name in names])
        grams = [each.transform([own[name] for own in texts]) for name, each in self._parts["vectorizers"].items()]
        weight = self.embedder.settings.ridge(self.task).embedding_weight
        return hstack([*grams, csr_matrix(weight * vectors.reshape(len(texts), -1))]).tocsr()


def _save_layers(layers: "dict[str, Tensor]", path: Path) -> None:
    """Write fine-tuned layers by name, or a file without any."""
    if layers:
        from safetensors.torch import save_file

        save_file(layers, path)
    else:  # torch need not be loaded for this
        from safetensors.numpy import save_file as save_arrays

        save_arrays({}, path)


def _load_layers(path: Path) -> "dict[str, Tensor]":
    """What ``_save_layers`` wrote.

    Raises:
        PanelError: the file is damaged, or a number in it is infinite or none.
    """
    from safetensors.torch import load_file

    check_safetensors(path)
    layers = load_file(path)
    if not all(bool(weights.isfinite().all()) for weights in layers.values()):
        raise PanelError(f"{path} holds numbers that are infinite or none; copy the panel again, or train it again")
    return layers


def _fit_vectorizers(known: Sequence[Texts], names: Sequence[str], grams: tuple[int, int]) -> dict[str, Any]:
    """Character n-grams of each part."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = {name: TfidfVectorizer(analyzer="char", ngram_range=grams, sublinear_tf=True) for name in names}
    # A part without text would count as a document in the weights of the n-grams.
    return {name: each.fit([own[name] for own in known if own[name]]) for name, each in made.items()}
