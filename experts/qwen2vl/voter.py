"""The Qwen2-VL expert of one task as a voter."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

from experts.qwen2vl.adapter import Manifest, check_manifest, read_manifest
from experts.qwen2vl.base import Base
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.prompt import EncodedPrompt, PromptEncoder
from experts.qwen2vl.inputs.rows import pack_by_token_budget
from mire.budget import Cost, answer_tokens
from mire.labels import Taxonomy
from mire.process_pool import AHEAD, InlineExecutor, prefetch, workers
from mire.samples import Sample
from mire.settings import Qwen2VL
from mire.votes import Vote

logger = logging.getLogger(__name__)

MAX_PADDING = 0.1
WINDOW = 512
"""Samples whose pictures are held in memory together, where batches are padded."""
BUCKET = 256
"""Compiled, lengths are multiples of this: what a graph assumes of one then holds for all."""

Scored = tuple[Sequence[EncodedPrompt], Any]
"""Prompts, and their labels' probabilities (prompts, n_labels) as a tensor."""


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
        found = read_manifest(folder)
        # The adapter alone says how its pictures were resized: the two tasks' adapters may come from two places.
        settings = settings.model_copy(update={"resize": found.resize})
        check_manifest(found, manifest(base, taxonomy, settings), folder)
        base.attach(taxonomy.task, folder)
        if settings.compile:
            base.compile()
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
        """Every sample gets a vote: an unreadable picture is shown to the model as a grey one.

        None only where a sample alone does not fit into the device's memory.
        """
        n = self._n_at_once(len(samples))
        with side_by_side(n) as pool:
            votes = self.score(self._prompts(samples, pool, n), pool, n, most=-(-len(samples) // n))
        return [votes.get(sample.id) for sample in samples]

    def score(self, prompts: Iterable[EncodedPrompt], pool: Executor, n: int, most: int) -> dict[str, Vote]:
        """Votes by sample: batches of at most ``most`` prompts, ``n`` of them under way in the pool."""
        model = self.base.adapted(self.taxonomy.task)
        votes: dict[str, Vote] = {}
        # Read only once the next batch is under way, so that a GPU is never without work.
        for scored in prefetch(pool, partial(self._score, model), self._batches(prompts, most), n):
            votes |= self._read(scored)
        return votes

    def _n_at_once(self, n_samples: int) -> int:
        """Batches that are scored side by side."""
        import torch

        return 1 if self._on_gpu or self.settings.compile else max(1, min(torch.get_num_threads(), n_samples))

    @property
    def _on_gpu(self) -> bool:
        return bool(self.base.model.device.type == "cuda")

    def _read(self, scored: Sequence[Scored]) -> dict[str, Vote]:
        """Votes by sample; waits for the device."""
        return {
            prompt.sample_id: Vote(self.name, prompt.sample_id, tuple(row), prompt.problems)
            for prompts, rows in scored
            for prompt, row in zip(prompts, rows.tolist(), strict=True)
        }

    def _score(self, model: Any, prompts: Sequence[EncodedPrompt]) -> list[Scored]:
        """Label probabilities of prompts, on the device; a batch that does not fit into memory is halved."""
        import torch

        from experts.qwen2vl.model.scoring import label_log_likelihoods

        try:
            with torch.inference_mode():
                batch = self._collated(prompts, model.device)
                return [(prompts, label_log_likelihoods(model, batch, self.trie).softmax(dim=-1))]
        except torch.OutOfMemoryError:
            pass  # the exception holds on to the pass's tensors; they are free from here on
        torch.cuda.empty_cache()
        middle = len(prompts) // 2
        if not middle:
            logger.info(
                f"{self.name}: sample {prompts[0].sample_id!r} of {len(prompts[0])} tokens does not fit into memory"
            )
            return []
        logger.info(f"{self.name}: a batch of {len(prompts)} does not fit into memory, going on with halves")
        return self._score(model, prompts[:middle]) + self._score(model, prompts[middle:])

    def _collated(self, prompts: Sequence[EncodedPrompt], device: Any) -> Any:
        from experts.qwen2vl.inputs.batch import collate, pack

        padding = {"image_pad": self.base.image_pad, "pad": self.base.pad}
        multiple = BUCKET if self.settings.compile else 1
        make_batch = pack if self.settings.attention == "packed" else collate
        batch = make_batch(prompts, self.trie, **padding, multiple=multiple)
        return (batch.pin_memory() if device.type == "cuda" else batch).to(device)

    def _batches(self, prompts: Iterable[EncodedPrompt], most: int) -> Iterator[list[EncodedPrompt]]:
        """Prompts within the token budget, as soon as so many are read; padded rows wait for others of like length."""
        budget, n_inner = self.settings.token_budget, len(self.trie.inner)
        if self.settings.attention == "packed":
            yield from pack_by_token_budget(prompts, budget, n_inner, most)
            return
        queue = iter(prompts)
        while window := sorted(islice(queue, WINDOW), key=len):
            yield from fill_batches(window, budget, n_inner)

    def _prompts(self, samples: Sequence[Sample], pool: Executor, n: int) -> Iterator[EncodedPrompt]:
        """Encoded samples in order; their pictures are decoded ahead, in other processes or in the pool's n threads."""
        load, paths = self.encoder.load, [path for sample in samples for path in sample.images]
        if self.settings.input_workers is None and not self._on_gpu:
            loaded = prefetch(pool, load, paths, AHEAD * n)
        else:
            loaded = workers(self.settings.input_workers).map(load, paths)
        for sample in samples:
            yield self.encoder.encode(sample, list(islice(loaded, len(sample.images))))


@contextmanager
def side_by_side(n: int) -> Iterator[Executor]:
    """Threads that work on ``n`` batches side by side and share torch's cores; one batch is worked on here, by all.

    A CPU's cores wait less for one another with a batch each, and meanwhile read what comes next.
    """
    if n == 1:
        yield InlineExecutor()
        return
    import torch

    n_cores = torch.get_num_threads()
    torch.set_num_threads(n_cores // n)
    try:
        with ThreadPoolExecutor(n) as pool:
            yield pool
    finally:
        torch.set_num_threads(n_cores)


def fill_batches(prompts: Sequence[EncodedPrompt], budget: int, n_inner: int) -> Iterator[list[EncodedPrompt]]:
    """Cut prompts, sorted by length, into batches of at most ``budget`` tokens (or one prompt).

    Padding and the trie's nodes count. A batch ends early where more than ``MAX_PADDING`` of it would be padding.
    """
    batch: list[EncodedPrompt] = []
    n_tokens = 0
    for prompt in prompts:
        width, size = len(prompt) + n_inner, len(batch) + 1
        n_tokens += width
        if batch and (size * width > budget or n_tokens < (1 - MAX_PADDING) * size * width):
            yield batch
            batch, n_tokens = [], width
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
        resize=settings.resize,
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
        resize=settings.resize,
    )
