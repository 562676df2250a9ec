"""A linear model over a dialogue's parts: character n-grams and the lexicon's phrases."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED

import numpy as np
from numpy.typing import NDArray

from experts.dialogue_text.features import Parts, take_apart
from experts.dialogue_text.lexicon import Lexicon, Side
from experts.linear import Words, deciding_words, typical_words
from mire.samples import Sample

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array = NDArray[np.float64]

# Weights of the blocks: a block's weight decides how freely the penalty lets the model use it.
_GRAMS: dict[str, tuple[int, int, float]] = {"question": (1, 2, 1.0), "answer": (2, 3, 0.7), "agent": (2, 3, 0.4)}
"""Shortest and longest n-gram of each part, and its weight."""

_PHRASES: dict[str, tuple[Side, float]] = {
    "question": ("user", 0.1),
    "earlier": ("user", 0.1),
    "answer": ("agent", 0.1),
    "earlier_answers": ("agent", 0.05),
}
"""Whose phrases are looked for in each part, and the block's weight."""

_INVERSE_PENALTY = 30.0
_N_VARIANTS, _QUESTION_WEIGHT = 6, 0.5
"""A made-up question's template weighs half a sample, spread over at most six of its variants."""

_SKLEARN_FILE, _LEXICON_FILE, _META_FILE = "linear.skops", "lexicon.json", "meta.json"


@dataclass
class DialogueTextModel:
    """Classifies dialogues. ``labels`` are the live labels; probabilities are in their order."""

    labels: tuple[str, ...]
    seed: int = 7
    lexicon: Lexicon = field(default_factory=Lexicon.read, repr=False)
    _parts: dict[str, Any] = field(default_factory=dict, repr=False)

    def fit(self, samples: Sequence[Sample], labels: Sequence[str]) -> "DialogueTextModel":
        """Learn from labelled dialogues and from the lexicon's questions; every label must be the model's."""
        from sklearn.linear_model import LogisticRegression

        real = [take_apart(sample.turns) for sample in samples]
        made, made_places, made_weights = self._made_up()
        parts = real + made
        self._parts = {"vectorizers": _fit_vectorizers(parts)}
        places = [self.labels.index(label) for label in labels] + made_places
        weights = [1.0] * len(real) + made_weights
        linear = LogisticRegression(C=_INVERSE_PENALTY, max_iter=500)
        self._parts["linear"] = linear.fit(self._input(parts), places, sample_weight=weights)
        return self

    def probabilities(self, samples: Sequence[Sample]) -> Array:
        """Shape (len(samples), len(labels)), rows sum to 1."""
        model = self._parts["linear"]
        rows = np.zeros((len(samples), len(self.labels)))
        rows[:, model.classes_] = model.predict_proba(self._input([take_apart(sample.turns) for sample in samples]))
        return rows

    def explain(self, sample: Sample, *, n: int = 8) -> Words:
        """The words that speak most for the top label, with what each adds to its logit.

        Words of the question stand as they are, others with their part: ``answer: 上市``. A lexicon entry
        names its intent and the phrases that were found: ``是否会生锈: 生锈, 锈迹``.
        """
        label = int(self.probabilities([sample])[0].argmax())
        parts = take_apart(sample.turns)
        return deciding_words(self._parts["linear"], label, self._input([parts]), self._names(parts), n)

    def label_words(self, *, n: int = 8) -> dict[str, Words]:
        """The pieces of text that speak most for each label, with their part of the dialogue."""
        names = self._piece_names()
        return {name: typical_words(self._parts["linear"], place, names, n) for place, name in enumerate(self.labels)}

    def save(self, folder: Path) -> None:
        """scikit-learn parts as skops, the lexicon and the labels as JSON."""
        import skops.io

        folder.mkdir(parents=True, exist_ok=True)
        skops.io.dump(self._parts, folder / _SKLEARN_FILE, compression=ZIP_DEFLATED)
        (folder / _LEXICON_FILE).write_text(self.lexicon.text, encoding="utf-8")
        meta = {"labels": self.labels, "seed": self.seed}
        (folder / _META_FILE).write_text(json.dumps(meta, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "DialogueTextModel":
        """Read what ``save`` wrote; skops refuses any type that it does not know to be harmless."""
        import skops.io

        meta = json.loads((folder / _META_FILE).read_text(encoding="utf-8"))
        parts = skops.io.load(folder / _SKLEARN_FILE, trusted=[])
        return cls(tuple(meta["labels"]), meta["seed"], Lexicon.read(folder / _LEXICON_FILE), parts)

    def _made_up(self) -> tuple[list[Parts], list[int], list[float]]:
        """The lexicon's questions as dialogues without an answer, with their labels' places and weights."""
        parts: list[Parts] = []
        places: list[int] = []
        weights: list[float] = []
        for place, label in enumerate(self.labels):
            for text, weight in self.lexicon.questions(label, n_each=_N_VARIANTS, seed=self.seed):
                parts.append(Parts(text, "", "", "", ""))
                places.append(place)
                weights.append(weight * _QUESTION_WEIGHT)
        return parts, places, weights

    def _input(self, parts: Sequence[Parts]) -> "csr_matrix":
        """Shape (len(parts), n_grams + len(labels) * len(_PHRASES))."""
        from scipy.sparse import csr_matrix, hstack

        blocks = [
            vectorizer.transform([getattr(part, name) for part in parts]) * _GRAMS[name][2]
            for name, vectorizer in self._parts["vectorizers"].items()
        ]
        for name, (side, weight) in _PHRASES.items():
            texts = [getattr(part, name) for part in parts]
            rows = [self.lexicon.strengths(text, labels=self.labels, side=side) for text in texts]
            blocks.append(csr_matrix(np.stack(rows) * weight))
        return hstack(blocks).tocsr()

    def _names(self, parts: Parts) -> list[str]:
        """A name for each column of the input, as this dialogue fills it."""
        names = self._piece_names()
        for name, (side, _) in _PHRASES.items():
            for label in self.labels:
                found = self.lexicon.phrases_in(getattr(parts, name), label=label, side=side)
                names.append(f"{label}: {', '.join(found)}")
        return names

    def _piece_names(self) -> list[str]:
        """A name for each n-gram's column, with its part of the dialogue."""
        return [
            piece if name == "question" else f"{name}: {piece}"
            for name, vectorizer in self._parts["vectorizers"].items()
            for piece in vectorizer.get_feature_names_out()
        ]


def _fit_vectorizers(parts: Sequence[Parts]) -> dict[str, Any]:
    """Character n-grams of each part; a part that is empty in the whole training set is left out."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    fitted: dict[str, Any] = {}
    for name, (shortest, longest, _) in _GRAMS.items():
        # A part without text would count as a document in the weights of the n-grams.
        texts = [text for part in parts if (text := getattr(part, name))]
        vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(shortest, longest), sublinear_tf=True)
        if any(len(text) >= shortest for text in texts):
            fitted[name] = vectorizer.fit(texts)
    return fitted
