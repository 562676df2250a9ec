"""Labelled samples as the trainer takes them: encoded prompts, and packed rows with the label trie."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

from experts.qwen2vl.inputs.batch import pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.prompt import EncodedPrompt, PromptEncoder
from experts.qwen2vl.training.distributed import with_blank_picture
from mire.labels import Taxonomy
from mire.samples import Sample

CACHED_BYTES = 2 << 30
"""Up to this many bytes of decoded pictures are kept between epochs; the others are decoded again."""


class PromptDataset(Dataset[tuple[EncodedPrompt, int]]):
    """Samples as (prompt, index of the right label); ``labels`` holds these indices."""

    def __init__(self, samples: Sequence[Sample], encoder: PromptEncoder, taxonomy: Taxonomy) -> None:
        self._samples = samples
        self._encoder = encoder
        self.labels = [taxonomy.index(str(sample.label)) for sample in samples]
        self._kept: dict[int, EncodedPrompt] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def lengths(self) -> list[int]:
        """Tokens per prompt; no picture is decoded."""
        return list(map(self._encoder.length, self._samples))

    def __getitem__(self, index: int) -> tuple[EncodedPrompt, int]:
        prompt = self._kept.get(index) or self._encoder.encode(self._samples[index])
        size = sum(picture.pixels.nbytes for picture in prompt.pictures)
        if index not in self._kept and self._kept_bytes + size <= CACHED_BYTES:
            self._kept[index] = prompt
            self._kept_bytes += size
        return prompt, self.labels[index]


@dataclass(frozen=True)
class Collator:
    """Turns (prompt, label index) pairs into the inputs of a training step.

    ``image_pad`` and ``pad`` are token ids, ``patch`` is the side of a patch in pixels. If ``distributed``, every batch
    holds a picture, if only a blank one.
    """

    trie: LabelTrie
    image_pad: int
    pad: int
    patch: int
    distributed: bool = False

    def __call__(self, items: Sequence[tuple[EncodedPrompt, int]]) -> dict[str, Any]:
        """``label_indices`` (prompts,) int64, and the ``batch``.

        The key is not ``labels``: from that the Trainer would count tokens, and scale the loss by their number.
        """
        batch = pack([prompt for prompt, _ in items], self.trie, image_pad=self.image_pad, pad=self.pad)
        return {
            "label_indices": torch.tensor([label for _, label in items]),
            "batch": with_blank_picture(batch, self.image_pad, self.patch) if self.distributed else batch,
        }


POOL = 50
"""At most so many batches are cut from one random pool of samples; a training set is at least four pools."""


class LengthGroupedSampler(Sampler[int]):
    """A random order, new in every epoch, in which prompts of similar length share a batch of ``batch_size``.

    The batches come in random order. transformers' own sampler of this name puts those of a pool in order of length,
    and draws from the global generator, whose state a run that resumes from a checkpoint does not restore.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = list(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        order = torch.randperm(len(self), generator=generator).tolist()
        batches = length_groups(order, self._lengths, self._batch_size)
        # An incomplete batch stays last: the trainer cuts the order into batches again.
        n_whole = len(self) // self._batch_size
        shuffled = torch.randperm(n_whole, generator=generator).tolist()
        return chain(*(batches[index] for index in shuffled), *batches[n_whole:])


def length_groups(order: Sequence[int], lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches of indices: each pool of ``order`` is sorted by length and cut; only the last batch is incomplete."""
    pool = batch_size * max(1, min(POOL, len(order) // (4 * batch_size)))
    by_length = [
        index
        for start in range(0, len(order), pool)
        for index in sorted(order[start : start + pool], key=lengths.__getitem__)
    ]
    return [by_length[start : start + batch_size] for start in range(0, len(order), batch_size)]
