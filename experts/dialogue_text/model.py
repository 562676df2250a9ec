"""A linear model over a dialogue's parts: character n-grams and the lexicon's phrases."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED

import numpy as np
from numpy.typing import NDArray

from experts.dialogue_text.features import Parts, take_apart
from experts.dialogue_text.lexicon import Lexicon, Side, kept_strengths
from experts.dialogue_text.synthetic_turns import made_up
from experts.linear import Attributions, deciding_words, piece_names, typical_words
from experts.private_grams import forget_private_grams
from experts.weight_files import load_skops
from mire.atomic_files import write_text
from mire.labels import Draft
from mire.samples import Sample
from mire.settings import DialogueText

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array = NDArray[np.float64]

_GRAM_PARTS = ("question", "exchange")
"""Parts of a dialogue whose character n-grams are learned from."""

_SIDES: dict[str, Side] = {"question": "user", "earlier": "user", "answer": "agent", "earlier_answers": "agent"}
"""Whose phrases are looked for in each part."""

_SCORE_SHARE = 0.5
"""Of the top label's score in the evidence; of 0.25, 0.5, 1 and 2 it finds most (docs/RESULTS-APPENDIX.md)."""

_SKLEARN_FILE, _LEXICON_FILE, _META_FILE = "linear.skops", "lexicon.json", "meta.json"


@dataclass
class DialogueTextModel:
    """Classifies dialogues. ``labels`` are the live labels; probabilities are in their order.

    ``drafts`` are made-up turns by label, to learn from beside those that are known for the challenge's labels.
    """

    labels: tuple[str, ...]
    seed: int = 7
    settings: DialogueText = DialogueText()
    lexicon: Lexicon = field(default_factory=Lexicon.read, repr=False)
    drafts: Mapping[str, Sequence[Draft]] = field(default_factory=dict, repr=False, kw_only=True)
    _parts: dict[str, Any] = field(default_factory=dict, repr=False)

    def fit(self, samples: Sequence[Sample], labels: Sequence[str]) -> "DialogueTextModel":
        """Fit on labelled dialogues and on synthetic turns; every label must be one of the model's."""
        from sklearn.linear_model import RidgeClassifier

        made = made_up(self.labels, self.lexicon, settings=self.settings, seed=self.seed, drafts=self.drafts)
        own, public = [take_apart(sample.turns) for sample in samples], [each.parts for each in made]
        parts = own + public
        self._parts = {"vectorizers": _fit_vectorizers(parts, self.settings.grams)}
        indices = [self.labels.index(label) for label in [*labels, *(each.label for each in made)]]
        weights = [1.0] * len(samples) + [each.weight for each in made]
        linear = RidgeClassifier(alpha=self.settings.penalty)
        self._parts["linear"] = linear.fit(self._input(parts, kept_strengths), indices, sample_weight=weights)
        texts = ({name: [getattr(part, name) for part in side] for name in _GRAM_PARTS} for side in (own, public))
        self._parts["vectorizers"] = forget_private_grams(linear, self._parts["vectorizers"], *texts)
        return self

    def probabilities(self, samples: Sequence[Sample]) -> Array:
        """Shape (len(samples), len(labels)), rows sum to 1."""
        return self.judge(samples)[0]

    def judge(self, samples: Sequence[Sample]) -> tuple[Array, Array]:
        """Probabilities as ``probabilities``, and evidence, (len(samples),).

        The evidence is what the lexicon finds for any label, and a share of the top label's score before softmax.
        """
        from scipy.special import softmax

        model, inputs = self._parts["linear"], self._input([take_apart(sample.turns) for sample in samples])
        scores = model.decision_function(inputs)
        if scores.ndim == 1:  # scikit-learn scores the second of two classes only
            scores = np.stack([-scores, scores], axis=1)
        rows = np.zeros((len(samples), len(self.labels)))
        rows[:, model.classes_] = softmax(self.settings.sharpness * scores, axis=1)
        phrases = np.asarray(inputs[:, -len(_SIDES) * len(self.labels) :].sum(axis=1)).ravel()
        return rows, phrases + _SCORE_SHARE * scores.max(axis=1)

    def explain(self, sample: Sample, *, n: int = 8) -> Attributions:
        """The words that contribute most to the top label, with their contribution to its score.

        N-grams of the question have no prefix, those of question and answer together read ``exchange: 上市``.
        A lexicon column names its intent and the phrases found: ``是否会生锈: 生锈, 锈迹``.
        """
        label = int(self.probabilities([sample])[0].argmax())
        parts = take_apart(sample.turns)
        return deciding_words(self._parts["linear"], label, self._input([parts]), self._names(parts), n)

    def label_words(self, *, n: int = 8) -> dict[str, Attributions]:
        """Per label the n-grams with the largest coefficients, with their part of the dialogue."""
        names = piece_names(self._parts["vectorizers"], "question")
        return {name: typical_words(self._parts["linear"], index, names, n) for index, name in enumerate(self.labels)}

    def save(self, folder: Path) -> None:
        """scikit-learn parts as skops, the lexicon and the labels as JSON."""
        import skops.io

        folder.mkdir(parents=True, exist_ok=True)
        skops.io.dump(self._parts, folder / _SKLEARN_FILE, compression=ZIP_DEFLATED)
        write_text(folder / _LEXICON_FILE, self.lexicon.text)
        meta = {"labels": self.labels, "seed": self.seed}
        write_text(folder / _META_FILE, json.dumps(meta, ensure_ascii=False, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path, settings: DialogueText) -> "DialogueTextModel":
        """Read what ``save`` wrote; raises as ``load_skops``."""
        meta = json.loads((folder / _META_FILE).read_text(encoding="utf-8"))
        parts = load_skops(folder / _SKLEARN_FILE)
        return cls(tuple(meta["labels"]), meta["seed"], settings, Lexicon.read(folder / _LEXICON_FILE), parts)

    def _input(self, parts: Sequence[Parts], strengths: "Callable[..., Array]" = Lexicon.strengths) -> "csr_matrix":
        """Shape (len(parts), n_grams + len(labels) * len(_SIDES))."""
        from scipy.sparse import csr_matrix, hstack

        blocks = [
            vectorizer.transform([getattr(part, name) for part in parts]) * getattr(self.settings, f"{name}_weight")
            for name, vectorizer in self._parts["vectorizers"].items()
        ]
        for name, side in _SIDES.items():
            texts = [getattr(part, name) for part in parts]
            rows = [strengths(self.lexicon, text, labels=self.labels, side=side) for text in texts]
            blocks.append(csr_matrix(np.stack(rows) * getattr(self.settings.phrase_weights, name)))
        return hstack(blocks).tocsr()

    def _names(self, parts: Parts) -> list[str]:
        """A name for each input column, with the phrases that this dialogue contains."""
        names = piece_names(self._parts["vectorizers"], "question")
        for name, side in _SIDES.items():
            for label in self.labels:
                found = self.lexicon.phrases_in(getattr(parts, name), label=label, side=side)
                names.append(f"{label}: {', '.join(found)}")
        return names


def _fit_vectorizers(parts: Sequence[Parts], grams: tuple[int, int]) -> dict[str, Any]:
    """Character n-grams of each part; a part that is empty in the whole training set is left out."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    fitted: dict[str, Any] = {}
    for name in _GRAM_PARTS:
        # A part without text would count as a document in the weights of the n-grams.
        texts = [text for part in parts if (text := getattr(part, name))]
        if any(len(text) >= grams[0] for text in texts):
            vectorizer = TfidfVectorizer(analyzer="char", ngram_range=grams, sublinear_tf=True)
            fitted[name] = vectorizer.fit(texts)
    return fitted
