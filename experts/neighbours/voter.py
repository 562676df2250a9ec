"""The voter that knows the training samples by their hidden states: a new label needs examples, and no training."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experts.qwen2vl.adapter import WEIGHTS
from experts.voter import VoterClass, votes_in_order
from experts.weight_files import readable_as
from mire.atomic_files import write_text
from mire.budget import Cost
from mire.errors import PanelError
from mire.images import content_hash
from mire.labels import Taxonomy
from mire.samples import Sample
from mire.settings import Neighbours, Qwen2VL
from mire.votes import Vote

_STATES_FILE, _META_FILE = "states.safetensors", "meta.json"


@dataclass(frozen=True)
class NeighboursVoter(VoterClass[Neighbours]):
    """Votes on states of ``qwen2vl``'s pass, with the kernel of kNN-LM (Khandelwal et al. 2020) on cosines.

    p(label | s) is the sum over the label's kept states k of exp(cos(s, k) / temperature), divided by the sum over all
    kept states (https://arxiv.org/abs/1911.00172, equation 2, with cosine similarity for the negative distance).

    A sample's state is the last layer's wherever the pass reads it: at the prompt's last token, which tells the first
    token of a label, and at the trie's inner nodes, which tell the others. (From the last token
    alone ``nano`` has half the F1: docs/RESULTS-APPENDIX.md.) ``states`` (n, size), each of length 1, and ``labels``
    (n,) their labels' indices; nothing else is kept of a sample. ``asked`` are the states to vote on, by sample id.
    """

    taxonomy: Taxonomy
    settings: Neighbours
    states: NDArray[np.float32]
    labels: NDArray[np.int64]
    asked: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    name: str = Neighbours.voter
    leader: str = Qwen2VL.voter

    @classmethod
    def train(
        cls,
        samples: Sequence[Sample],
        *,
        taxonomy: Taxonomy,
        settings: Neighbours,
        seed: int,
        votes: Sequence[Vote | None] = (),
    ) -> "NeighboursVoter":
        """Keep the states in ``votes``, the leader's on the samples.

        Raises:
            PanelError: none of them holds a state.
        """
        states, labels = _kept(samples, votes, taxonomy)
        return cls(taxonomy, settings, states, labels)

    def grown(self, samples: Sequence[Sample], votes: Sequence[Vote | None], taxonomy: Taxonomy) -> "NeighboursVoter":
        """The voter with more examples, of labels that may be new; errors as ``train``."""
        states, labels = _kept(samples, votes, taxonomy)
        together = np.concatenate([self.states, states]), np.concatenate([self.labels, labels])
        return NeighboursVoter(taxonomy, self.settings, *together)

    @classmethod
    def load(cls, folder: Path, *, taxonomy: Taxonomy, settings: Neighbours, base: Any = None) -> "NeighboursVoter":
        """Read what ``save`` wrote.

        Raises:
            PanelError: it is of other labels, or of another adapter than the one beside it, or is damaged.
        """
        from safetensors.numpy import load_file

        meta = json.loads((folder / _META_FILE).read_text(encoding="utf-8"))
        if (meta["task"], tuple(meta["labels"])) != (taxonomy.task, taxonomy.labels):
            raise PanelError(f"{folder} was made for other labels; train it again")
        if meta["adapter"] != _adapter(folder):
            raise PanelError(f"{folder} holds states of another adapter than {Qwen2VL.voter}'s; train it again")
        kept = load_file(folder / _STATES_FILE)
        states, labels = kept["states"].astype(np.float32), kept["labels"]
        if not np.isfinite(states).all() or not np.isin(labels, np.arange(len(taxonomy.labels))).all():
            raise PanelError(
                f"{folder / _STATES_FILE} is damaged: numbers that are not finite, or unknown labels; copy it again"
            )
        return cls(taxonomy, settings, states, labels)

    @property
    def cost(self) -> Cost:
        """Nothing: the pass and its answer are booked by the leader."""
        return Cost(0, 0)

    @property
    def parameters(self) -> dict[str, int]:
        return {}

    def after(self, votes: Sequence[Vote | None]) -> "NeighboursVoter":
        """As ``Follower.after``."""
        return replace(self, asked={vote.sample_id: vote.state for vote in votes if vote and vote.state is not None})

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        """One vote per sample; None if the leader has no state of it."""
        usable = [sample for sample in samples if sample.id in self.asked]
        if not usable:
            return [None] * len(samples)
        rows = self.probabilities(np.stack([self.asked[sample.id] for sample in usable]))
        return votes_in_order(self.name, samples, usable, rows)

    def probabilities(self, states: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of states (n, size), each of length 1: shape (n, n_labels), rows sum to 1."""
        from scipy.special import softmax

        cosines = states @ self.states.T
        shares = softmax(cosines.astype(np.float64) / self.settings.temperature, axis=1)
        return np.asarray(shares @ np.eye(len(self.taxonomy.labels))[self.labels])

    def save(self, folder: Path) -> None:
        """The states in float16 with their labels; the labels' names and the adapter's SHA-256 as JSON."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({"states": self.states.astype(np.float16), "labels": self.labels}, folder / _STATES_FILE)
        meta = {"task": self.taxonomy.task, "labels": self.taxonomy.labels, "adapter": _adapter(folder)}
        write_text(folder / _META_FILE, json.dumps(meta, ensure_ascii=False, indent=2) + "\n")
        readable_as(folder / _STATES_FILE, folder / _META_FILE)


def _kept(
    samples: Sequence[Sample], votes: Sequence[Vote | None], taxonomy: Taxonomy
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The states (n, size) in the votes on samples, as float16 keeps them, and their labels' indices (n,)."""
    told = {vote.sample_id: vote.state for vote in votes if vote and vote.state is not None}
    known = [sample for sample in samples if sample.id in told]
    if not known:
        raise PanelError(f"{Qwen2VL.voter} has no state of any of {len(samples)} samples; see its messages above")
    labels = np.array([taxonomy.index(str(sample.label)) for sample in known])
    return np.stack([told[sample.id] for sample in known]).astype(np.float16).astype(np.float32), labels


def _adapter(folder: Path) -> str:
    """SHA-256 of the adapter that lies beside the voter's folder in a panel."""
    return content_hash(folder.parent / Qwen2VL.voter / WEIGHTS)
