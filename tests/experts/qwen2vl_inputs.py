"""Adapters and prompts with random content, and the likelihoods of transformers' own model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experts.qwen2vl.adapter import write_manifest
from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.families import FAMILIES
from experts.qwen2vl.inputs.batch import normalise
from experts.qwen2vl.inputs.pictures import Patches
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from experts.qwen2vl.voter import manifest
from mire.compat import patch_torchvision
from mire.labels import Task, builtin_taxonomy
from mire.settings import Qwen2VL


def make_adapter(folder: Path, settings: Qwen2VL, task: Task, *, zero: bool = False) -> Path:
    """An adapter with random weights, saved as training saves it."""
    from peft import LoraConfig, get_peft_model

    base = load_base(settings, device="cpu")
    model = get_peft_model(base.model, LoraConfig(r=4, target_modules=settings.lora.target_modules))
    torch.manual_seed(len(task))
    for name, parameter in model.named_parameters():
        if "lora_B" in name and not zero:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    write_manifest(manifest(base, builtin_taxonomy(task), settings), folder)
    return folder


def made_up_prompt(base: Base, rng: np.random.Generator, n_words: int, grids: list[tuple[int, int]]) -> EncodedPrompt:
    ids = rng.integers(100, 3000, n_words).tolist()
    pictures = []
    for rows, columns in grids:
        pixels = rng.integers(0, 256, (rows * columns * 4, 3 * base.family.patch**2), dtype=np.uint8)
        pictures.append(Patches(pixels, rows * 2, columns * 2))
        ids += [base.image_pad] * (rows * columns) + rng.integers(100, 3000, 2).tolist()
    return EncodedPrompt("s", tuple(ids), tuple(pictures), ())


def plain_model(settings: Qwen2VL) -> Any:
    """transformers' own model with the base's weights; none of our modules, masks or positions."""
    patch_torchvision()
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(
        settings.base, attn_implementation="sdpa", dtype=torch.float32
    ).eval()


def plain_logits(model: Any, prompt: EncodedPrompt, answer: Sequence[int]) -> Tensor:
    """Logits (answer tokens, vocabulary) of the answer after a prompt, by an ordinary pass over both."""
    ids = torch.tensor([[*prompt.ids, *answer]])
    pixels = [torch.from_numpy(picture.pixels) for picture in prompt.pictures]
    family = FAMILIES[model.config.model_type]
    logits = model(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        pixel_values=normalise(torch.cat(pixels), family, torch.float32, n_frames=2) if pixels else None,
        image_grid_thw=torch.tensor([[1, p.rows, p.columns] for p in prompt.pictures]) if pixels else None,
        mm_token_type_ids=(ids == model.config.image_token_id).int(),
    ).logits
    return logits[0, len(prompt) - 1 : -1]


def plain_log_likelihoods(model: Any, prompts: Sequence[EncodedPrompt], labels: Sequence[Sequence[int]]) -> Tensor:
    """Log-likelihoods (prompts, labels), each by an ordinary pass of its own."""

    def one(prompt: EncodedPrompt, label: Sequence[int]) -> Tensor:
        steps = plain_logits(model, prompt, label).log_softmax(-1)
        return steps[range(len(label)), list(label)].sum()

    return torch.stack([torch.stack([one(prompt, label) for label in labels]) for prompt in prompts])
