"""The average of two small models: a linear one on a screen's text, trees on its layout."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED

import numpy as np

from experts.linear import Attributions, deciding_words, piece_names, typical_words
from experts.screen_text.features import (
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
from experts.trees import TREES_DIGEST, load_trees, save_trees
from experts.weight_files import load_skops
from mire.atomic_files import write_text
from mire.settings import ScreenText

if TYPE_CHECKING:
    from lightgbm import Booster
    from scipy.sparse import csr_matrix

_CLIP = 3.0
"""Standardised layout and group numbers are clipped at this many standard deviations."""
_FAR_OUT = 10.0
"""The same where a screen is compared with all training screens."""

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
    settings: ScreenText = ScreenText()
    _parts: dict[str, Any] = field(default_factory=dict, repr=False)
    _trees: "Booster | None" = field(default=None, repr=False)

    def fit(self, readings: Sequence[Reading], labels: Sequence[str]) -> "ScreenTextModel":
        """Learn from labelled readings; every label must be one of the model's."""
        import lightgbm
        from sklearn.covariance import LedoitWolf
        from sklearn.decomposition import TruncatedSVD
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        indices = np.array([self.labels.index(label) for label in labels])
        self._parts = {"vectorizers": fit_vectorizers(readings, self.settings)}
        features = self._features(readings)
        self._parts["scaler"] = StandardScaler().fit(features.numbers)
        self._parts["known"] = LedoitWolf().fit(self._scaled_layout(features))
        n_topics = min(self.settings.topics, features.text.shape[1] - 1, len(readings))
        if n_topics > 0:
            with np.errstate(invalid="ignore"):  # texts that are all the same have no variance to explain
                self._parts["topics"] = TruncatedSVD(n_topics, random_state=self.seed).fit(features.text)
        linear = LogisticRegression(C=self.settings.inverse_penalty, max_iter=400)
        self._parts["linear"] = linear.fit(self._linear_input(features), indices)
        data = lightgbm.Dataset(self._tree_input(features), label=indices, params={"verbosity": -1})
        trees = self.settings.trees
        # Trees this small are no faster on two cores, and far slower where a core is busy.
        own = {"num_threads": 1, "num_class": len(self.labels), "seed": self.seed}
        self._trees = lightgbm.train({**trees.parameters, **own}, data, num_boost_round=trees.rounds)
        return self

    def probabilities(self, readings: Sequence[Reading]) -> Array:
        """Shape (len(readings), len(labels)), rows sum to 1."""
        return self.judge(readings)[0]

    def judge(self, readings: Sequence[Reading]) -> tuple[Array, Array | None]:
        """Probabilities as ``probabilities``, and evidence, (len(readings),); a model of an earlier version has none.

        The evidence falls with the Mahalanobis distance of layout and pixels from the training screens' mean.
        """
        features = self._features(readings)
        linear = np.zeros((len(readings), len(self.labels)))
        model = self._parts["linear"]
        linear[:, model.classes_] = model.predict_proba(self._linear_input(features))
        # For the type checker: a model is fitted or loaded before it is used.
        assert self._trees is not None, "fit or load first"  # noqa: S101
        trees = np.asarray(self._trees.predict(self._tree_input(features), num_threads=1))
        mixed: Array = self.settings.linear_share * linear + (1 - self.settings.linear_share) * trees
        mixed /= mixed.sum(axis=1, keepdims=True)
        known = self._parts.get("known")
        return mixed, None if known is None else -np.asarray(known.mahalanobis(self._scaled_layout(features)))

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
        names = piece_names(self._parts["vectorizers"], "all")
        return {name: typical_words(self._parts["linear"], index, names, n) for index, name in enumerate(self.labels)}

    def save(self, folder: Path) -> None:
        """scikit-learn parts as skops, trees as LightGBM's text, the rest as JSON."""
        import skops.io

        folder.mkdir(parents=True, exist_ok=True)
        skops.io.dump(self._parts, folder / _SKLEARN_FILE, compression=ZIP_DEFLATED)
        # For the type checker, as above.
        assert self._trees is not None, "fit first"  # noqa: S101
        digest = save_trees(self._trees, folder / _TREES_FILE)
        meta = {"labels": self.labels, "seed": self.seed, TREES_DIGEST: digest}
        write_text(folder / _META_FILE, json.dumps(meta, ensure_ascii=False, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path, settings: ScreenText) -> "ScreenTextModel":
        """Read what ``save`` wrote; raises as ``load_skops``."""
        meta = json.loads((folder / _META_FILE).read_text(encoding="utf-8"))
        parts = load_skops(folder / _SKLEARN_FILE)
        labels = tuple(meta["labels"])
        trees = load_trees(folder / _TREES_FILE, n_classes=len(labels), digest=meta.get(TREES_DIGEST))
        return cls(labels, meta["seed"], settings, parts, trees)

    def _features(self, readings: Sequence[Reading]) -> _Features:
        from scipy.sparse import csr_matrix, hstack

        zones = [zone_texts(reading) for reading in readings]
        blocks = [
            vectorizer.transform([texts[zone] for texts in zones]) * self._text_weight(zone)
            for zone, vectorizer in self._parts["vectorizers"].items()
        ]
        found = [phrase_features(reading) for reading in readings]
        return _Features(
            text=hstack([csr_matrix((len(readings), 0)), *blocks]).tocsr(),
            layout=np.stack([layout(reading) for reading in readings]),
            groups=np.stack([group_features(phrase).ravel() for phrase in found]),
            phrases=np.stack([phrase.ravel() for phrase in found]),
        )

    def _scaled_layout(self, features: _Features) -> Array:
        """Standardised and clipped far out, (n, n_layout): one number alone must not decide."""
        scaled = self._parts["scaler"].transform(features.numbers)[:, : features.layout.shape[1]]
        return np.asarray(np.clip(scaled, -_FAR_OUT, _FAR_OUT))

    def _text_weight(self, zone: str) -> float:
        return self.settings.text_weight if zone == "all" else self.settings.zone_weight

    def _linear_input(self, features: _Features) -> "csr_matrix":
        from scipy.sparse import csr_matrix, hstack

        chosen = self.settings
        weights = np.repeat(
            (chosen.layout_weight, chosen.group_weight), (features.layout.shape[1], features.groups.shape[1])
        )
        scaled = np.clip(self._parts["scaler"].transform(features.numbers), -_CLIP, _CLIP) * weights
        weighted = features.phrases * np.repeat(chosen.phrase_weights, len(phrases()))
        return hstack([features.text, csr_matrix(scaled), csr_matrix(weighted)]).tocsr()

    def _tree_input(self, features: _Features) -> Array:
        blocks = [features.numbers, features.phrases]
        if "topics" in self._parts:
            blocks.append(self._parts["topics"].transform(features.text))
        return np.hstack(blocks)

    def _names(self, features: _Features) -> list[str]:
        """A name for each column of the linear model's input, as one reading's features fill it."""
        names = piece_names(self._parts["vectorizers"], "all") + [f"layout {name}" for name in layout_names()]
        names += 3 * group_words(features.phrases[0])
        return names + [f"{kind} {phrase}" for kind in ("phrase", "count", "place") for phrase in phrases()]
