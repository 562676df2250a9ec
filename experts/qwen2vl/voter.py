"""The Qwen2-VL expert of one task, as a voter."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from math import isfinite, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experts.qwen2vl.adapter import Manifest, check_base_name, check_manifest, read_manifest
from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.prompt import EncodedPrompt, PromptEncoder
from experts.qwen2vl.inputs.rows import pack_by_token_budget
from experts.voter import VoterClass
from mire.budget import Cost, answer_tokens
from mire.doctor.check import Check
from mire.labels import Task, Taxonomy
from mire.model_sizes import count_base
from mire.process_pool import AHEAD, InlineExecutor, prefetch, workers
from mire.samples import Sample
from mire.settings import HOW_TO_COMPUTE, Qwen2VL
from mire.votes import Vote

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from experts.qwen2vl.inputs.batch import Batch

logger = logging.getLogger(__name__)

BUCKET = 256
"""With compiled layers row lengths are multiples of this: what a graph assumes of one length then holds for all."""

Scored = tuple[Sequence[EncodedPrompt], "Tensor", "torch.cuda.Event | None"]
"""Prompts, their rows (prompts, n_labels), and what to wait for before these are read.

A row holds the labels' probabilities, and after them, where they are told, the states: (prompts, n_labels + size).
"""


@dataclass(frozen=True)
class Qwen2VLVoter(VoterClass[Qwen2VL]):
    """Scores every label that is not disabled in one forward pass of the base, if ``adapted`` with its adapter.

    ``tells_states``: its votes hold the pass's states too.
    """

    base: Base
    taxonomy: Taxonomy
    settings: Qwen2VL
    name: str = Qwen2VL.voter
    adapted: bool = True
    tells_states: bool = False

    @classmethod
    def load(cls, folder: Path, *, taxonomy: Taxonomy, settings: Qwen2VL, base: Any = None) -> "Qwen2VLVoter":
        """Attach the adapter in ``folder`` to the base.

        Raises:
            PanelError: the adapter does not fit the base, the labels, or the settings.
        """
        if base is None:
            raise ValueError(f"{cls.name} needs its base: load_base gives it")
        found = read_manifest(folder)
        # The adapter alone says how its pictures were resized: the two tasks' adapters may come from two places.
        settings = settings.model_copy(update={"resize": found.resize})
        check_manifest(found, manifest(base, taxonomy, settings), folder)
        base.attach(taxonomy.task, folder)
        if settings.compile:
            base.compile()
        return cls(base=base, taxonomy=taxonomy, settings=settings)

    def untrained(self) -> "Qwen2VLVoter":
        """The same voter without the adapter, on the same base."""
        return replace(self, adapted=False)

    @classmethod
    def check(cls, folder: Path, settings: Qwen2VL) -> None:
        check_base_name(folder, settings.base)

    @classmethod
    def load_base(cls, settings: Qwen2VL) -> Base:
        return load_base(settings)

    @classmethod
    def digest(cls, settings: Qwen2VL) -> str:
        return settings.model_dump_json(include=set(HOW_TO_COMPUTE))

    @classmethod
    def sizes(cls, settings: Qwen2VL, task: Task) -> dict[str, int]:
        base, adapter = count_base(settings)
        return {f"base {settings.base}": base, f"adapter {task}": adapter}

    @classmethod
    def weights_checks(cls, settings: Qwen2VL) -> Iterator[Check]:
        from mire.doctor.weights import base_check

        yield base_check(settings.base)

    @cached_property
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
        """Score samples; one without a readable picture is scored with a grey picture.

        None stands for a sample that on its own does not fit into the device's memory.
        """
        n = self._n_side_by_side(len(samples))
        with side_by_side(n) as pool:
            votes = self.score(self._prompts(samples, pool, n), pool, n, max_prompts=-(-len(samples) // n))
        return [votes.get(sample.id) for sample in samples]

    def score(self, prompts: Iterable[EncodedPrompt], pool: Executor, n: int, max_prompts: int) -> dict[str, Vote]:
        """Votes by sample id; the pool scores ``n`` rows of at most ``max_prompts`` prompts at the same time."""
        from experts.qwen2vl.model.device import bfloat16_factors

        model = self.base.adapted(self.taxonomy.task if self.adapted else None)
        rows = pack_by_token_budget(prompts, self.settings.token_budget, len(self.trie.inner), max_prompts)
        votes: dict[str, Vote] = {}
        with bfloat16_factors(model):
            # A row's result is read only after the next row was started, so that a GPU always has work.
            for scored in prefetch(pool, partial(self._score, model), rows, n):
                votes |= self._read(scored)
        return votes

    def _n_side_by_side(self, n_samples: int) -> int:
        """Rows that are scored at the same time: one per thread on a CPU, one on a GPU or with compiled layers."""
        import torch

        return 1 if self._on_gpu or self.settings.compile else max(1, min(torch.get_num_threads(), n_samples))

    @property
    def _on_gpu(self) -> bool:
        return bool(self.base.model.device.type == "cuda")

    def _read(self, scored: Sequence[Scored]) -> dict[str, Vote]:
        """Votes by sample id; waits for the device. A sample whose scores overflowed (float16) has none."""
        votes: dict[str, Vote] = {}
        for prompts, rows, copied in scored:
            if copied is not None:
                copied.synchronize()
            n_labels = len(self.taxonomy.labels)
            states = rows[:, n_labels:].numpy() if self.tells_states else [None] * len(rows)
            for prompt, row, state in zip(prompts, rows[:, :n_labels].tolist(), states, strict=True):
                if not isfinite(sum(row)):
                    logger.info(f"{self.name}: sample {prompt.sample_id!r} has scores that are no finite numbers")
                    continue
                votes[prompt.sample_id] = Vote(
                    self.name, prompt.sample_id, tuple(row), prompt.problems, n_prompt_tokens=len(prompt), state=state
                )
        return votes

    def _rows(self, model: Any, batch: "Batch") -> "Tensor":
        """The rows of a batch, as ``Scored`` has them."""
        import torch

        from experts.qwen2vl.model.scoring import label_log_likelihoods, log_likelihoods_and_states

        if not self.tells_states:
            return label_log_likelihoods(model, batch, self.trie).softmax(dim=-1)
        scores, states = log_likelihoods_and_states(model, batch, self.trie)
        # The cosine of two samples is then the mean of those at each position.
        unit = torch.nn.functional.normalize(states.float(), dim=-1) / sqrt(states.shape[1])
        return torch.cat([scores.softmax(dim=-1), unit.flatten(1)], dim=1)

    def _score(self, model: Any, prompts: Sequence[EncodedPrompt]) -> list[Scored]:
        """Label probabilities of one row; one that does not fit into memory is halved, as are later ones like it."""
        import torch

        from experts.qwen2vl.model.device import out_of_memory

        middle = len(prompts) // 2
        n_tokens = sum(len(prompt) + len(self.trie.inner) for prompt in prompts)
        if n_tokens <= self.base.most_tokens or not middle:
            try:
                with torch.inference_mode():
                    batch = self._pack(prompts, model.device)
                    return [(prompts, *_to_cpu(self._rows(model, batch)))]
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
            # The exception kept the pass's tensors alive; now they are freed.
            torch.cuda.empty_cache()
            if not middle:
                logger.info(
                    f"{self.name}: sample {prompts[0].sample_id!r} of {len(prompts[0])} tokens does not fit into memory"
                )
                return []
            self.base.most_tokens = n_tokens - 1
            logger.info(f"{self.name}: a batch of {len(prompts)} does not fit into memory, going on with halves")
        return self._score(model, prompts[:middle]) + self._score(model, prompts[middle:])

    def _pack(self, prompts: Sequence[EncodedPrompt], device: "torch.device") -> "Batch":
        """The row of prompts, on the device."""
        from experts.qwen2vl.inputs.batch import pack

        multiple = BUCKET if self.settings.compile else 1
        batch = pack(prompts, self.trie, image_pad=self.base.image_pad, pad=self.base.pad, multiple=multiple)
        return (batch.pin_memory() if device.type == "cuda" else batch).to(device)

    def _prompts(self, samples: Sequence[Sample], pool: Executor, n: int) -> Iterator[EncodedPrompt]:
        """Encoded samples in order; worker processes or the pool's ``n`` threads decode pictures in advance."""
        load, paths = self.encoder.load, [path for sample in samples for path in sample.images]
        if self.settings.input_workers is None and not self._on_gpu:
            loaded = prefetch(pool, load, paths, AHEAD * n)
        else:
            loaded = workers(self.settings.input_workers).map(load, paths)
        for sample in samples:
            yield self.encoder.encode(sample, list(islice(loaded, len(sample.images))))


def _to_cpu(rows: "Tensor") -> "tuple[Tensor, torch.cuda.Event | None]":
    """The rows' copy on the CPU, and the event after which it can be read; no queue of the GPU is waited for."""
    import torch

    if not rows.is_cuda:
        return rows, None
    copy = rows.to("cpu", non_blocking=True)
    copied = torch.cuda.Event()
    copied.record()
    return copy, copied


@contextmanager
def side_by_side(n: int) -> Iterator[Executor]:
    """A pool of ``n`` threads among which torch's cores are divided; for n = 1 the caller's thread, with all cores.

    With a row per core the cores of a CPU wait less for one another than with one row for all, and a core that has
    finished its row already decodes the pictures of the next.
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


def prompt_encoder(base: Base, taxonomy: Taxonomy, settings: Qwen2VL) -> PromptEncoder:
    """The encoder that turns samples of the taxonomy's task into prompts, as the settings say."""
    return PromptEncoder(
        tokenizer=base.tokenizer,
        task=taxonomy.task,
        layout=settings.layout,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
        max_tokens=settings.max_tokens,
        resize=settings.resize,
        patch=base.family.patch,
        system=base.family.system,
    )


def manifest(base: Base, taxonomy: Taxonomy, settings: Qwen2VL) -> Manifest:
    """The manifest that an adapter must have to be used with these settings; a trained adapter gets it."""
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
