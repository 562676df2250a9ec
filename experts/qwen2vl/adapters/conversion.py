"""Adapters that were trained elsewhere: by LLaMA-Factory, or with transformers before 4.52."""

import json
import re
import shutil
import tempfile
from pathlib import Path

from experts.qwen2vl.adapter import CONFIG, WEIGHTS, read_config, read_tensors
from mire.errors import PanelError
from mire.labels import Task
from mire.settings import Settings

_PREFIX = "base_model.model."

# Old name -> new name, behind the prefix. (transformers maps a base's own weights by the same two rules.)
_RENAMED = (
    (re.compile(r"^visual\."), "model.visual."),
    (re.compile(r"^model\.(?!language_model\.|visual\.)"), "model.language_model."),
)


def new_key(key: str) -> str:
    """The name of a LoRA weight today, given its name under any version.

    Raises:
        PanelError: it is no LoRA weight.
    """
    found = re.fullmatch(r"(?:base_model\.model\.)?(.+)\.(lora_[AB])(?:\.\w+)?\.weight", key)
    if found is None:
        raise PanelError(f"only LoRA weights can be converted, got {key!r}")
    module, part = found.groups()
    for pattern, name in _RENAMED:
        module = pattern.sub(name, module)
    return f"{_PREFIX}{module}.{part}.weight"


def convert(adapter: Path, out: Path, *, task: Task, settings: Settings) -> None:
    """Write the converted PEFT folder.

    Raises:
        PanelError: no whole safetensors or configuration, other weights than LoRA's, keys that do not fit the
            settings' base, or an adapter that changes nothing; ``out`` is not touched then.
    """
    from safetensors.torch import save_file

    for name in (WEIGHTS, CONFIG):
        if not (adapter / name).is_file():
            raise PanelError(f"{adapter} holds no {name}; an adapter to convert is a PEFT folder with safetensors")
    if out.exists():
        raise PanelError(f"{out} is there already; choose another --out, or delete it")
    tensors = {new_key(key): tensor for key, tensor in read_tensors(adapter).items()}
    config = read_config(adapter)
    modules = {key.removeprefix(_PREFIX).rsplit(".lora_", 1)[0] for key in tensors}
    config |= {"target_modules": sorted(modules), "base_model_name_or_path": settings.qwen2vl.base}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as name:
        made = Path(name) / out.name
        made.mkdir()
        save_file(tensors, made / WEIGHTS, metadata={"format": "pt"})
        (made / CONFIG).write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        _declare(made, task=task, settings=settings)
        shutil.move(made, out)


def _declare(folder: Path, *, task: Task, settings: Settings) -> None:
    """Write what the adapter works with, and load it on the base that it is for."""
    from experts.qwen2vl.adapter import write_manifest
    from experts.qwen2vl.base import load_base
    from experts.qwen2vl.voter import manifest

    base = load_base(settings.qwen2vl)
    write_manifest(manifest(base, settings.taxonomy(task), settings.qwen2vl), folder)
    base.attach(task, folder)
