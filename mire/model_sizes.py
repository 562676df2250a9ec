"""Count the models' parameters from their shapes alone: no weights are needed, none are loaded.

Everything is built on torch's meta device by the same classes that later hold the weights.
"""

import json
import logging
import os
from importlib import resources
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mire.compat import patch_torchvision
from mire.errors import SettingsError
from mire.settings import Clip, Qwen2VL

_BASES = resources.files("mire").joinpath("data", "bases")
"""One file per base whose shape is known without it: its ``config.json``, named as the base, ``--`` for a slash."""
NANO_CLIP = "mire-nano"


def base_shape(base: str) -> dict[str, Any]:
    """The configuration of a base that ships as data.

    Raises:
        KeyError: no shape ships under this name.
    """
    source = _known_bases()[base]
    return dict(json.loads(source.read_text(encoding="utf-8")))


def _known_bases() -> dict[str, Traversable]:
    """By name, the bases whose shapes ship."""
    files = {file.name.removesuffix(".json").replace("--", "/"): file for file in _BASES.iterdir()}
    return dict(sorted(files.items()))


def base_config(base: str) -> Any:
    """transformers' configuration of a base that ships as data, or of a folder.

    Raises:
        SettingsError: the base's shape is not known here.
    """
    patch_torchvision()
    from transformers import AutoConfig

    if base in _known_bases():
        return AutoConfig.for_model(**{"model_type": "qwen2_vl"} | base_shape(base))
    if Path(base).is_dir():
        return AutoConfig.from_pretrained(base, trust_remote_code=False)
    raise SettingsError(
        f"the shape of base {base!r} is not known here: name its folder as qwen2vl.base, or one of "
        f"{', '.join(_known_bases())}"
    )


def count_base(settings: Qwen2VL) -> tuple[int, int]:
    """Parameters of the base, and of one LoRA adapter on it."""
    config = base_config(settings.base)
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
        n_base = model.num_parameters()
        # An averaged adapter stacks those of the folds, or of the seeds.
        rank = settings.lora.rank * (settings.vote_folds if settings.final == "merge" else settings.final_seeds)
        lora = LoraConfig(r=rank, target_modules=settings.lora.target_modules)
        adapted = get_peft_model(model, lora)
    return n_base, sum(p.numel() for name, p in adapted.named_parameters() if "lora_" in name)


def count_clip(settings: Clip) -> int:
    """Parameters of the picture tower; the text tower is dropped after loading.

    Raises:
        SettingsError: open_clip knows no such model.
    """
    patch_torchvision()
    import open_clip
    import torch

    name = add_clip_config(settings.model)
    # It warns that no weights are loaded: none are wanted.
    logging.disable(logging.WARNING)
    try:
        with torch.device("meta"):
            model = open_clip.create_model(name, pretrained=None, device="meta")
    except RuntimeError as error:
        raise SettingsError(f"open_clip knows no model {settings.model!r}: {error}") from error
    finally:
        logging.disable(logging.NOTSET)
    return sum(parameter.numel() for parameter in model.visual.parameters())


def clip_weights(model: str, tag: str) -> tuple[str, str] | None:
    """The repository and the safetensors file of a tag's weights; None where open_clip knows no such tag.

    The repository is empty where the weights lie at an address of their own, as a pickle.
    """
    import open_clip

    known = open_clip.get_pretrained_cfg(model.replace("/", "-"), tag)
    if not known:
        return None
    repository, name = os.path.split(known.get("hf_hub", ""))
    return repository, f"{Path(name).stem}.safetensors" if name else "open_clip_model.safetensors"


def add_clip_config(model: str) -> str:
    """Make open_clip know ``mire-nano``, a configuration file, or a folder; the name that it then goes by."""
    import open_clip

    if model == NANO_CLIP:
        with resources.as_file(resources.files("mire").joinpath("data", f"{NANO_CLIP}.json")) as path:
            open_clip.add_model_config(path)
        return model
    if model.endswith(".json"):
        open_clip.add_model_config(Path(model))
        return Path(model).stem
    return f"local-dir:{model}" if Path(model).is_dir() else model


def count_ocr() -> int:
    """An upper bound: the bytes of RapidOCR's packaged models, four to a parameter."""
    package = find_spec("rapidocr")
    if package is None or package.origin is None:
        raise SettingsError("reading screens needs the package rapidocr: pip install rapidocr onnxruntime")
    return sum(path.stat().st_size for path in Path(package.origin).parent.rglob("*.onnx")) // 4
