"""``nano``'s pre-training: a few hundred steps on synthetic prompts, so that LoRA training has features to adapt.

LoRA on random weights overfits. Here the model learns to describe synthetic screens in words and to find the intent of
synthetic dialogues. No sample, shipped or real, is involved.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from experts.qwen2vl.inputs.batch import Batch, pack
from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.packed_rows import PackedLayout
from experts.qwen2vl.inputs.pictures import to_patches
from experts.qwen2vl.inputs.prompt import EncodedPrompt, PromptEncoder
from experts.qwen2vl.model.scoring import label_log_likelihoods, prompt_logits
from experts.qwen2vl.nano.dialogues import synthetic_dialogues
from experts.qwen2vl.nano.screens import draw_screen
from mire.labels import Task, builtin_taxonomy

BATCH_SIZE = 32
PEAK_LEARNING_RATE = 2e-3
WARMUP_STEPS = 30
MAX_PIXELS = 50_176
MAX_TOKENS = 160
_END = LabelTrie.build([[0]])
"""A trie without inner nodes: only the prompts enter the row."""


def pretrain(model: Any, tokenizer: Any, *, n_steps: int, seed: int) -> None:
    """Train all weights for ``n_steps``, on screens and dialogues in turn, on one thread: the sums' order is fixed."""
    if n_steps == 0:
        return
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _train(model, tokenizer, n_steps, seed)
    finally:
        torch.set_num_threads(n_threads)


def _train(model: Any, tokenizer: Any, n_steps: int, seed: int) -> None:
    # It draws synthetic screens and dialogues, no secrets.
    rng = random.Random(seed)  # noqa: S311
    losses = [_screen_losses(model, tokenizer, rng), _dialogue_losses(model, tokenizer, rng)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=0.01)
    model.train()
    for step in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LEARNING_RATE * _schedule(step, n_steps)
        optimizer.zero_grad()
        next(losses[step % 2]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


def _schedule(step: int, n_steps: int) -> float:
    """The share of the peak learning rate, 0 to 1: linear warm-up, then a cosine to zero."""
    return min(1.0, (step + 1) / WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / n_steps))


def _encoder(tokenizer: Any, task: Task) -> PromptEncoder:
    return PromptEncoder(
        tokenizer=tokenizer, task=task, layout="compact", min_pixels=3136, max_pixels=MAX_PIXELS, max_tokens=MAX_TOKENS
    )


def _dialogue_losses(model: Any, tokenizer: Any, rng: random.Random) -> Iterator[Tensor]:
    """Endless batches' cross-entropies over the intents, scalars."""
    taxonomy, encoder = builtin_taxonomy("dialogue"), _encoder(tokenizer, "dialogue")
    trie, samples = encoder.label_trie(taxonomy), synthetic_dialogues(taxonomy, rng)
    while True:
        chosen = list(islice(samples, BATCH_SIZE))
        batch = pack([encoder.encode(sample) for sample in chosen], trie, image_pad=_image_pad(model), pad=0)
        labels = torch.tensor([taxonomy.index(str(sample.label)) for sample in chosen])
        yield torch.nn.functional.cross_entropy(label_log_likelihoods(model, batch, trie), labels)


def _screen_losses(model: Any, tokenizer: Any, rng: random.Random) -> Iterator[Tensor]:
    """Endless batches' cross-entropies over the words that describe a screen, scalars.

    Each word is predicted from the screen and the words before it.
    """
    encoder = _encoder(tokenizer, "image")
    while True:
        drawings = [draw_screen(rng) for _ in range(BATCH_SIZE)]
        answers = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize("".join(drawing.words))) for drawing in drawings]
        prompts = [
            _with_answer(encoder, drawing.picture, answer[:-1])
            for drawing, answer in zip(drawings, answers, strict=True)
        ]
        batch = _reading_last(pack(prompts, _END, image_pad=_image_pad(model), pad=0), prompts, len(answers[0]))
        yield torch.nn.functional.cross_entropy(
            prompt_logits(model, batch).flatten(0, 1), torch.tensor(answers).flatten()
        )


def _reading_last(batch: Batch, prompts: Sequence[EncodedPrompt], n: int) -> Batch:
    """The batch with logits for the last ``n`` tokens of every prompt; all but the first form a trie of one path."""
    path = torch.ones(n - 1, n - 1, dtype=torch.bool).tril()
    return replace(batch, layout=PackedLayout.of([len(prompt) - len(path) for prompt in prompts], path))


def _with_answer(encoder: PromptEncoder, picture: Image, answer: Sequence[int]) -> EncodedPrompt:
    """A screen's prompt with the first words of the answer after it."""
    patches = to_patches(picture, min_pixels=encoder.min_pixels, max_pixels=encoder.max_pixels)
    ids = encoder.frame((patches,))
    return EncodedPrompt("screen", (*ids, *answer), (patches,), ())


def _image_pad(model: Any) -> int:
    return int(model.config.image_token_id)
