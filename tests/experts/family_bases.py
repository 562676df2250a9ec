"""Tiny random checkpoints of every family, beside nano's tokenizer; and the families' chat templates, in our words."""

import json
from pathlib import Path
from typing import Any

from experts.qwen2vl.families import FAMILIES
from experts.qwen2vl.nano.build import SPECIAL_TOKENS, build_tokenizer
from mire.compat import patch_torchvision

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
QWEN2_TEXT = TEXT | {
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
    "rms_norm_eps": 1e-6,
}
SHAPES: dict[str, dict[str, Any]] = {
    # As of the 2B: the head is the embedding.
    "qwen2_vl": {
        "text_config": QWEN2_TEXT,
        "vision_config": {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2},
        "tie_word_embeddings": True,
    },
    # Windows of 2 x 2 tokens, and one block that attends to the whole picture.
    "qwen2_5_vl": {
        "text_config": QWEN2_TEXT,
        "vision_config": {
            "depth": 3, "hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 40, "num_heads": 2,
            "window_size": 56, "fullatt_block_indexes": [1],
        },
        "tie_word_embeddings": False,
    },
    # Deepstack into the first two of three layers; heads are wider than hidden size / heads.
    "qwen3_vl": {
        "text_config": TEXT | {
            "head_dim": 32,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 5e6, "mrope_section": [6, 5, 5], "mrope_interleaved": True,
            },
        },
        "vision_config": {
            "depth": 3, "hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 48, "num_heads": 2,
            "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64,
        },
        "tie_word_embeddings": True,
    },
}  # fmt: skip


def make_base(folder: Path, family: str, **changes: Any) -> Path:
    """Write a random checkpoint of the family; ``changes`` replace entries of its text configuration."""
    patch_torchvision()
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    tokenizer = build_tokenizer() if not _TOKENIZERS else _TOKENIZERS[0]
    _TOKENIZERS[:] = [tokenizer]
    ids = {token: int(tokenizer.convert_tokens_to_ids(token)) for token in SPECIAL_TOKENS}
    shape = SHAPES[family] | {"text_config": SHAPES[family]["text_config"] | {"vocab_size": len(tokenizer)} | changes}
    config = AutoConfig.for_model(
        family,
        **shape,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = AutoModelForImageTextToText.from_config(config)
        for parameter in model.parameters():
            # Larger than usual, so that what a position attends to shows in its logits.
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor_settings(family)))
    return folder


_TOKENIZERS: list[Any] = []


def processor_settings(family: str) -> dict[str, Any]:
    """What the hub's ``preprocessor_config.json`` of the family says."""
    known = FAMILIES[family]
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": known.patch,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": list(known.mean),
        "image_std": list(known.std),
    }


def rendered(family: str, content: list[dict[str, str]]) -> str:
    """What the family's chat template makes of one user message: Qwen3-VL's writes no system message of its own."""
    parts = [part.get("text", "<|vision_start|><|image_pad|><|vision_end|>") for part in content]
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n" if family != "qwen3_vl" else ""
    return f"{system}<|im_start|>user\n{''.join(parts)}<|im_end|>\n<|im_start|>assistant\n"
