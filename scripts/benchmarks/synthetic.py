"""A Qwen2-VL of a real shape with random weights, and prompts of a real size: speed needs no more."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.pictures import CELL, to_patches
from experts.qwen2vl.inputs.prompt import EncodedPrompt
from mire.compat import patch_torchvision
from mire.labels import Taxonomy
from mire.model_sizes import base_shape
from mire.settings import Lora

FIRST_ID = 200
"""Token ids from here on are ordinary text in every shape that ships."""
NANO_IDS = {"vision_start_token_id": 9, "vision_end_token_id": 10, "image_token_id": 12, "video_token_id": 13}
"""nano's shape leaves them to its tokenizer."""
END = FIRST_ID - 1
"""Stands for the end of the turn."""
B_STD = 1e-3
"""Of an adapter's B, about what a short training leaves."""
SCREEN_ASPECT = 2340 / 1080


def random_model(base: str, device: str, dtype: torch.dtype) -> Any:
    """A Qwen2-VL of the base's shape, with random weights."""
    patch_torchvision()
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    from experts.qwen2vl.model.device import choose_attention_kernels
    from experts.qwen2vl.model.fast_modules import install_fast_modules

    shape = NANO_IDS | base_shape(base)
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2VLForConditionalGeneration._from_config(
            Qwen2VLConfig(**shape), dtype=dtype, attn_implementation="sdpa"
        )
    install_fast_modules(model)
    choose_attention_kernels()
    return model.requires_grad_(False).eval()


def with_adapters(model: Any, lora: Lora, names: Sequence[str]) -> Any:
    """The model with LoRA adapters in its own number format, of the size that training gives; the first one active."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=lora.target_modules)
    adapted = get_peft_model(model, config, adapter_name=names[0], autocast_adapter_dtype=False)
    for name in names[1:]:
        adapted.add_adapter(name, config, autocast_adapter_dtype=False)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=B_STD)
    return adapted


def to_train(model: Any, lora: Lora) -> Any:
    """The model with one new LoRA adapter in float32, as a training begins."""
    from peft import LoraConfig, get_peft_model

    options = {"r": lora.rank, "lora_alpha": lora.alpha, "lora_dropout": lora.dropout}
    return get_peft_model(model, LoraConfig(target_modules=lora.target_modules, **options))


def label_trie(taxonomy: Taxonomy) -> LabelTrie:
    """The labels, one token per character: about as many as Qwen2's tokenizer makes of them, or some more."""
    characters = sorted({character for label in taxonomy.labels for character in label})
    ids = {character: FIRST_ID + index for index, character in enumerate(characters)}
    return LabelTrie.build([[*(ids[character] for character in label), END] for label in taxonomy.labels])


def prompts(model: Any, n: int, *, n_visual: int, n_text: int) -> list[EncodedPrompt]:
    """Noise screens of about ``n_visual`` tokens in the middle of ``n_text`` random text tokens."""
    config = model.config
    rng = np.random.default_rng(0)
    made = []
    for number in range(n):
        width = int((n_visual * CELL**2 / SCREEN_ASPECT) ** 0.5)
        noise = rng.integers(0, 256, (int(width * SCREEN_ASPECT), width, 3), dtype=np.uint8)
        picture = to_patches(noise, min_pixels=CELL**2, max_pixels=n_visual * CELL**2)
        text = rng.integers(FIRST_ID, FIRST_ID + 4000, n_text).tolist()
        slot = [config.vision_start_token_id, *[config.image_token_id] * picture.n_tokens, config.vision_end_token_id]
        made.append(EncodedPrompt(str(number), (*text[:12], *slot, *text[12:]), (picture,), ()))
    return made
