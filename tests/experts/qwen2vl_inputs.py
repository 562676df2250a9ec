"""Adapters and prompts with random content."""

from pathlib import Path

import numpy as np
import torch

from experts.qwen2vl.adapter import write_manifest
from experts.qwen2vl.base import Base, load_base
from experts.qwen2vl.inputs.pictures import Patches
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from experts.qwen2vl.voter import manifest
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
        pixels = rng.integers(0, 256, (rows * columns * 4, 588), dtype=np.uint8)
        pictures.append(Patches(pixels, rows * 2, columns * 2))
        ids += [base.image_pad] * (rows * columns) + rng.integers(100, 3000, 2).tolist()
    return EncodedPrompt("s", tuple(ids), tuple(pictures), ())
