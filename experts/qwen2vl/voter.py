"""The Qwen2-VL expert of one task as a voter."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from experts.qwen2vl.adapter import Manifest, check_manifest, read_manifest
from experts.qwen2vl.base import Base
from experts.qwen2vl.prompt import EncodedPrompt, PromptEncoder
from experts.qwen2vl.trie import LabelTrie
from mire.budget import Cost, answer_tokens
from mire.labels import Taxonomy
from mire.samples import Sample
from mire.settings import Qwen2VL
from mire.votes import Vote


@dataclass(frozen=True)
class Qwen2VLVoter:
    """Scores every live label in one forward pass of the base with the task's adapter."""

    base: Base
    taxonomy: Taxonomy
    settings: Qwen2VL
    name: str = "qwen2vl"

    @classmethod
    def load(cls, folder: Path, *, base: Base, taxonomy: Taxonomy, settings: Qwen2VL) -> "Qwen2VLVoter":
        """Attach the adapter in ``folder`` to the base.

        Raises:
            PanelError: the adapter does not fit the base, the labels, or the settings.
        """
        check_manifest(read_manifest(folder), manifest(base, taxonomy, settings), folder)
        base.attach(taxonomy.task, folder)
        return cls(base=base, taxonomy=taxonomy, settings=settings)

    @property
    def cost(self) -> Cost:
        return Cost(1, answer_tokens(self.taxonomy.labels, self.encoder.answer_lengths(self.taxonomy.labels)))

    @property
    def parameters(self) -> dict[str, int]:
        task = self.taxonomy.task
        return {
            f"base {self.base.name}": self.base.n_parameters,
            f"adapter {task}": self.base.n_adapter_parameters(task),
        }

    @cached_property
    def encoder(self) -> PromptEncoder:
        return prompt_encoder(self.base, self.taxonomy, self.settings)

    @cached_property
    def trie(self) -> LabelTrie:
        return self.encoder.label_trie(self.taxonomy)

    def vote(self, samples: Sequence[Sample]) -> list[Vote | None]:
        """Every sample gets a vote: an unreadable picture is shown to the model as a grey one."""
        import torch

        from experts.qwen2vl.batch import collate
        from experts.qwen2vl.scoring import label_log_likelihoods

        votes: dict[str, Vote] = {}
        with self.base.adapted(self.taxonomy.task) as model, torch.inference_mode():
            for prompts in self._batches(samples):
                batch = collate(prompts, self.trie, image_pad=self.base.image_pad, pad=self.base.pad)
                scores = label_log_likelihoods(model, batch.to(model.device), self.trie)
                for prompt, row in zip(prompts, scores.softmax(dim=-1).tolist(), strict=True):
                    votes[prompt.sample_id] = Vote(self.name, prompt.sample_id, tuple(row), prompt.problems)
        return [votes[sample.id] for sample in samples]

    def _batches(self, samples: Sequence[Sample]) -> Iterator[list[EncodedPrompt]]:
        """Prompts of like length together, each batch within the token budget, padding and trie counted."""
        window = 512
        for start in range(0, len(samples), window):
            prompts = sorted(map(self.encoder.encode, samples[start : start + window]), key=len)
            yield from fill_batches(prompts, self.settings.token_budget, len(self.trie.inner))


def fill_batches(prompts: Sequence[EncodedPrompt], budget: int, n_inner: int) -> Iterator[list[EncodedPrompt]]:
    """Cut prompts, sorted by length, into batches of at most ``budget`` padded tokens (or one prompt)."""
    batch: list[EncodedPrompt] = []
    for prompt in prompts:
        if batch and (len(batch) + 1) * (len(prompt) + n_inner) > budget:
            yield batch
            batch = []
        batch.append(prompt)
    if batch:
        yield batch


def prompt_encoder(base: Base, taxonomy: Taxonomy, settings: Qwen2VL) -> PromptEncoder:
    """How this configuration turns samples of a task into prompts."""
    return PromptEncoder(
        tokenizer=base.tokenizer,
        task=taxonomy.task,
        layout=settings.layout,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
        max_tokens=settings.max_tokens,
    )


def manifest(base: Base, taxonomy: Taxonomy, settings: Qwen2VL) -> Manifest:
    """What an adapter that is trained or used with these settings declares."""
    return Manifest(
        task=taxonomy.task,
        base=base.name,
        base_fingerprint=base.fingerprint,
        layout=settings.layout,
        taxonomy=taxonomy.fingerprint,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
        max_tokens=settings.max_tokens,
    )
