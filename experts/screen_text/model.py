"""The average of two small models: a linear one on a screen's text, trees on its layout."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED

import numpy as np

from experts.linear import Attributions, deciding_words, typical_words
from experts.screen_text.features import (
    ZONES,
    Array,
    group_features,
    layout,
    layout_names,
    phrase_features,
    phrases,
    zone_texts,
)
from experts.screen_text.reader import Reading
from experts.screen_text.words import fit_vectorizers, group_words
from experts.trees import load_trees

if TYPE_CHECKING:
    from lightgbm import Booster
    from scipy.sparse import csr_matrix

LINEAR_SHARE = 0.5
"""Weight of the linear model's probabilities in the average; the trees have the rest."""

_ZONE_WEIGHTS = {"all": 1.0, **dict.fromkeys(ZONES[1:], 0.6)}
_LAYOUT_WEIGHT, _GROUP_WEIGHT, _PHRASE_WEIGHTS = 0.05, 0.1, (0.1, 0.03, 0.05)
_CLIP = 3.0
"""Standardised layout and group numbers are clipped at this many standard deviations."""

_INVERSE_PENALTY = 20.0
_N_TOPICS = 40
_N_ROUNDS = 160
_TREES = {
    "objective": "multiclass",
    "learning_rate": 0.06,
    "num_leaves": 7,
    "min_data_in_leaf": 3,
    "feature_fraction": 0.15,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 2.0,
    "max_bin": 63,
    "verbosity": -1,
    # Trees this small are no faster on two cores, and far slower where a core is busy.
    "num_threads": 1,
    # Both are needed for the same trees on every run.
    "deterministic": True,
    "force_row_wise": True,
}
_SKLEARN_FILE, _TREES_FILE, _META_FILE = "linear.skops", "trees.txt", "meta.json"


@dataclass(frozen=True)
class _Features:
    """Features of n readings: text (n, n_grams), layout (n, n_layout), groups and phrases (n, 3 * how many)."""

    text: "csr_matrix"
    layout: Array
    groups: Array
    phrases: Array

    @property
    def numbers(self) -> Array:
        """What is standardised for the linear model."""
        return np.hstack([self.layout, self.groups])


@dataclass
class ScreenTextModel:
    """Classifies readings. ``labels`` are the live labels; probabilities are in their order."""

    labels: tuple[str, ...]
    seed: int = 7
    _parts: dict[str, Any] = field(default_factory=dict, repr=False)
    _trees: "Booster | None" = field(default=None, repr=False)

    def fit(self, readings: Sequence[Reading], labels: Sequence[str]) -> "ScreenTextModel":
        """Learn from labelled readings; every label must be one of the model's."""
        import lightgbm
        from sklearn.decomposition import TruncatedSVD
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        places = np.array([self.labels.index(label) for label in labels])
        self._parts = {"vectorizers": fit_vectorizers(readings)}
        features = self._features(readings)
        self._parts["scaler"] = StandardScaler().fit(features.numbers)
        n_topics = min(_N_TOPICS, features.text.shape[1] - 1, len(readings))
        if n_topics > 0:
            with np.errstate(invalid="ignore"):  # texts that are all the same have no variance to explain
                self._parts["topics"] = TruncatedSVD(n_topics, random_state=self.seed).fit(features.text)
        linear = LogisticRegression(C=_INVERSE_PENALTY, max_iter=400)
        self._parts["linear"] = linear.fit(self._linear_input(features), places)
        data = lightgbm.Dataset(self._tree_input(features), label=places, params={"verbosity": -1})
        parameters = {**_TREES, "num_class": len(self.labels), "seed": self.seed}
        self._trees = lightgbm.train(parameters, data, num_boost_round=_N_ROUNDS)
        return self

    def probabilities(self, readings: Sequence[Reading]) -> Array:
        """Shape (len(readings), len(labels)), rows sum to 1."""
        features = self._features(readings)
        linear = np.zeros((len(readings), len(self.labels)))
        model = self._parts["linear"]
        linear[:, model.classes_] = model.predict_proba(self._linear_input(features))
        # For the type checker: a model is fitted or loaded before it is used.
        assert self._trees is not None, "fit or load first"  # noqa: S101
        trees = np.asarray(self._trees.predict(self._tree_input(features), num_threads=1))
        mixed: Array = LINEAR_SHARE * linear + (1 - LINEAR_SHARE) * trees
        mixed /= mixed.sum(axis=1, keepdims=True)
        return mixed

    def explain(self, reading: Reading, *, n: int = 8) -> Attributions:
        """The words that contribute most to the top label, with their contribution to its logit.

        Character n-grams carry their zone, other features a name: ``title: 退款``, ``layout prices``,
        ``phrase 实付款``, ``about 退款: 退款成功, 退款金额`` (a phrase group and the phrases found).
        """
        label = int(self.probabilities([reading])[0].argmax())
        features = self._features([reading])
        return deciding_words(self._parts["linear"], label, self._linear_input(features), self._names(features), n)

    def label_words(self, *, n: int = 8) -> dict[str, Attributions]:
        """Per label the character n-grams with the largest coefficients, with their zone."""
        names = self._piece_names()
        return {name: typical_words(self._parts["linear"], place, names, n) for place, name in enumerate(self.labels)}

    def save(self, folder: Path) -> None:
        """scikit-learn parts as skops, trees as LightGBM's text, the rest as JSON."""
        import skops.io

        folder.mkdir(parents=True, exist_ok=True)
        skops.io.dump(self._parts, folder / _SKLEARN_FILE, compression=ZIP_DEFLATED)
        # For the type checker, as above.
        assert self._trees is not None, "fit first"  # noqa: S101
        self._trees.save_model(folder / _TREES_FILE)
        meta = {"labels": self.labels, "seed": self.seed}
        (folder / _META_FILE).write_text(json.dumps(meta, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "ScreenTextModel":
        """Read what ``save`` wrote; skops refuses any type that it does not know to be harmless."""
        import skops.io

        meta = json.loads((folder / _META_FILE).read_text(encoding="utf-8"))
        parts = skops.io.load(folder / _SKLEARN_FILE, trusted=[])
        return cls(tuple(meta["labels"]), meta["seed"], parts, load_trees(folder / _TREES_FILE))

    def _features(self, readings: Sequence[Reading]) -> _Features:
        from scipy.sparse import csr_matrix, hstack

        zones = [zone_texts(reading) for reading in readings]
        blocks = [
            vectorizer.transform([texts[zone] for texts in zones]) * _ZONE_WEIGHTS[zone]
            for zone, vectorizer in self._parts["vectorizers"].items()
        ]
        found = [phrase_features(reading) for reading in readings]
        return _Features(
            text=hstack([csr_matrix((len(readings), 0)), *blocks]).tocsr(),
            layout=np.stack([layout(reading) for reading in readings]),
            groups=np.stack([group_features(phrase).ravel() for phrase in found]),
            phrases=np.stack([phrase.ravel() for phrase in found]),
        )

    def _linear_input(self, features: _Features) -> "csr_matrix":
        from scipy.sparse import csr_matrix, hstack

        weights = np.repeat((_LAYOUT_WEIGHT, _GROUP_WEIGHT), (features.layout.shape[1], features.groups.shape[1]))
        scaled = np.clip(self._parts["scaler"].transform(features.numbers), -_CLIP, _CLIP) * weights
        weighted = features.phrases * np.repeat(_PHRASE_WEIGHTS, len(phrases()))
        return hstack([features.text, csr_matrix(scaled), csr_matrix(weighted)]).tocsr()

    def _tree_input(self, features: _Features) -> Array:
        blocks = [features.numbers, features.phrases]
        if "topics" in self._parts:
            blocks.append(self._parts["topics"].transform(features.text))
        return np.hstack(blocks)

    def _names(self, features: _Features) -> list[str]:
        """A name for each column of the linear model's input, as one reading's features fill it."""
        names = self._piece_names() + [f"layout {name}" for name in layout_names()]
        names += 3 * group_words(features.phrases[0])
        return names + [f"{kind} {phrase}" for kind in ("phrase", "count", "place") for phrase in phrases()]

    def _piece_names(self) -> list[str]:
        """A name for each n-gram's column, with its zone."""
        return [
            piece if zone == "all" else f"{zone}: {piece}"
            for zone, vectorizer in self._parts["vectorizers"].items()
            for piece in vectorizer.get_feature_names_out()
        ]
