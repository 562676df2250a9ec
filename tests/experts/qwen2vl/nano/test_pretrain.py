"""nano's pre-training: its losses are those of one ordinary pass of transformers' model per prompt."""

import random

import pytest
import torch
from qwen2vl_inputs import plain_log_likelihoods, plain_logits, plain_model

from experts.qwen2vl.base import Base
from experts.qwen2vl.nano import pretrain
from experts.qwen2vl.nano.dialogues import synthetic_dialogues
from experts.qwen2vl.nano.screens import draw_screen
from mire.labels import builtin_taxonomy
from mire.settings import Qwen2VL


@pytest.fixture(autouse=True)
def _three_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "BATCH_SIZE", 3)


def test_the_loss_on_screens_is_that_of_plain_passes(
    base: Base, nano_settings: Qwen2VL, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, plain, rng = pretrain._encoder(base.tokenizer, "image"), plain_model(nano_settings), random.Random(3)
    drawings = [draw_screen(rng) for _ in range(3)]
    losses = []
    for drawing in drawings:
        answer = base.tokenizer.convert_tokens_to_ids(base.tokenizer.tokenize("".join(drawing.words)))
        logits = plain_logits(plain, pretrain._with_answer(encoder, drawing.picture, ()), answer)
        losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(answer)))
    monkeypatch.setattr(pretrain, "draw_screen", lambda rng: drawings.pop(0))
    with torch.no_grad():
        loss = next(pretrain._screen_losses(base.model, base.tokenizer, rng))
    torch.testing.assert_close(loss, torch.stack(losses).mean(), atol=1e-5, rtol=1e-5)


def test_the_loss_on_dialogues_is_that_of_plain_passes(base: Base, nano_settings: Qwen2VL) -> None:
    taxonomy, encoder = builtin_taxonomy("dialogue"), pretrain._encoder(base.tokenizer, "dialogue")
    trie, samples = encoder.label_trie(taxonomy), synthetic_dialogues(taxonomy, random.Random(3))
    chosen = [next(samples) for _ in range(3)]
    labels = [[trie.tokens[node] for node in path] for path in trie.paths]
    with torch.no_grad():
        loss = next(pretrain._dialogue_losses(base.model, base.tokenizer, random.Random(3)))
        scores = plain_log_likelihoods(plain_model(nano_settings), [encoder.encode(s) for s in chosen], labels)
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([taxonomy.index(str(s.label)) for s in chosen]))
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
