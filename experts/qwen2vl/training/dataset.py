"""Labelled samples as the trainer takes them: encoded prompts, and batches with the label trie."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

from experts.qwen2vl.inputs.batch import collate, pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.prompt import EncodedPrompt, PromptEncoder
from experts.qwen2vl.training.distributed import with_blank_picture
from mire.labels import Taxonomy
from mire.samples import Sample

CACHED_BYTES = 2 << 30
"""Encoded pictures are kept between epochs up to this size; beyond it they are decoded again."""


class PromptDataset(Dataset[tuple[EncodedPrompt, int]]):
    """Samples as (prompt, place of the right label)."""

    def __init__(self, samples: Sequence[Sample], encoder: PromptEncoder, taxonomy: Taxonomy) -> None:
        self._samples = samples
        self._encoder = encoder
        self._gold = [taxonomy.index(str(sample.label)) for sample in samples]
        self._kept: dict[int, EncodedPrompt] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each prompt; no picture is decoded."""
        return list(map(self._encoder.length, self._samples))

    def __getitem__(self, index: int) -> tuple[EncodedPrompt, int]:
        prompt = self._kept.get(index) or self._encoder.encode(self._samples[index])
        size = sum(picture.pixels.nbytes for picture in prompt.pictures)
        if index not in self._kept and self._kept_bytes + size <= CACHED_BYTES:
            self._kept[index] = prompt
            self._kept_bytes += size
        return prompt, self._gold[index]


@dataclass(frozen=True)
class Collator:
    """Prompts and labels to what the trainer's step takes; ``distributed``, every batch holds a picture."""

    trie: LabelTrie
    image_pad: int
    pad: int
    distributed: bool = False
    packed: bool = False

    def __call__(self, items: Sequence[tuple[EncodedPrompt, int]]) -> dict[str, Any]:
        prompts = [prompt for prompt, _ in items]
        make_batch = pack if self.packed else collate
        batch = make_batch(prompts, self.trie, image_pad=self.image_pad, pad=self.pad)
        return {
            "gold": torch.tensor([labels for _, labels in items]),
            "batch": with_blank_picture(batch, self.image_pad, self.pad) if self.distributed else batch,
        }


class LengthGroupedSampler(Sampler[int]):
    """An order in which prompts of like length share a batch of ``batch_size``; another one every epoch.

    transformers' own sampler of this name draws from the global generator, which a run that goes on from a
    checkpoint does not find as it was.
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
        from transformers.trainer_pt_utils import get_length_grouped_indices

        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        return iter(get_length_grouped_indices(self._lengths, self._batch_size, generator=generator))
