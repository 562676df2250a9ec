"""The Qwen2-VL base that the experts of both tasks share, and its two adapters."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experts.qwen2vl.adapter import check_adapter, read_manifest
from experts.qwen2vl.model.merged_weights import MergedModel
from mire.compat import patch_torchvision
from mire.errors import PanelError
from mire.hub import offline_reason
from mire.labels import Task
from mire.settings import Qwen2VL


@dataclass
class Base:
    """A loaded base: ``name`` as in the settings; ``fingerprint`` identifies its weights (``weights_fingerprint``)."""

    name: str
    model: Any
    tokenizer: Any
    fingerprint: str
    _adapted: Any = field(default=None, repr=False)
    _merged: MergedModel | None = field(default=None, repr=False)
    _compiled: bool = field(default=False, repr=False)

    @property
    def n_parameters(self) -> int:
        """Parameters of the base alone, counted from the module."""
        return sum(parameter.numel() for name, parameter in self.model.named_parameters() if "lora_" not in name)

    def n_adapter_parameters(self, task: Task) -> int:
        """Parameters of one task's adapter."""
        return sum(parameter.numel() for name, parameter in self.model.named_parameters() if f".{task}." in name)

    @property
    def image_pad(self) -> int:
        """The token id of a picture's token."""
        return int(self.model.config.image_token_id)

    @property
    def pad(self) -> int:
        """The token id of padding."""
        return int(self.tokenizer.pad_token_id)

    def attach(self, task: Task, folder: Path) -> None:
        """Load a PEFT folder as the adapter of ``task``; all adapters share the base's weights.

        Raises:
            PanelError: the adapter was trained on other weights, its keys do not match, or it changes nothing.
        """
        from peft import PeftModel

        manifest = read_manifest(folder)
        if manifest.base_fingerprint != self.fingerprint:
            raise PanelError(
                f"{folder}: the adapter was trained on base {manifest.base!r} ({manifest.base_fingerprint}), "
                f"but {self.name!r} ({self.fingerprint}) is loaded; name its base in the settings or train again"
            )
        if self._adapted is None:
            self._adapted = PeftModel.from_pretrained(self.model, folder, adapter_name=task)
            self._merged = MergedModel(self._adapted)
        else:
            self._adapted.load_adapter(folder, adapter_name=task)
        check_adapter(self._adapted, task, folder)
        self._adapted.eval()

    def compile(self) -> None:
        """Have the layers compiled at their next call."""
        if not self._compiled:
            compile_layers(self.model)
            self._compiled = True

    def adapted(self, task: Task) -> Any:
        """The model with the adapter of ``task`` active, until another task is asked for.

        Raises:
            PanelError: the adapter is not loaded.
        """
        if self._merged is None:
            raise PanelError(f"the {task} adapter is not loaded")
        return self._merged.use(task)


def load_base(settings: Qwen2VL, *, device: str | None = None, dtype: Any = None) -> Base:
    """Load the base that the settings name: ``nano`` (built if it is missing), a folder, or a hub name.

    By default it is loaded on the first GPU in bfloat16, or without a GPU on the CPU in float32.

    Raises:
        PanelError: no such folder, or the hub cannot be reached.
    """
    patch_torchvision()
    import torch
    from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration
    from transformers.utils import logging

    from experts.qwen2vl.model.fast_modules import install_fast_modules

    logging.disable_progress_bar()
    source = base_source(settings.base)
    offline = None if Path(source).is_dir() else offline_reason()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or (torch.bfloat16 if device.startswith("cuda") else torch.float32)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = Qwen2VLForConditionalGeneration.from_pretrained(
            source, dtype=dtype, attn_implementation="sdpa", use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise PanelError(
            f"the base {settings.base!r} cannot be loaded: {offline or str(error).splitlines()[0]}; download it once "
            "and name its folder as qwen2vl.base in the settings"
        ) from error
    install_fast_modules(model)
    model.requires_grad_(False)
    return Base(settings.base, model.to(device).eval(), tokenizer, weights_fingerprint(model))


def compile_layers(model: Any) -> None:
    """Have every layer of a Qwen2-VL's language model and vision tower compiled at its next call.

    The layers of a tower are alike, so one graph serves all; its lengths are symbolic, so it serves all batches.
    """
    for layer in (*model.model.visual.blocks, *model.model.language_model.layers):
        layer.compile(dynamic=True)


def base_source(name: str) -> str:
    """What ``from_pretrained`` is given: nano's cache folder, or the name itself."""
    if name != "nano":
        return name
    from experts.qwen2vl.nano import nano_folder

    return str(nano_folder())


def weights_fingerprint(model: Any) -> str:
    """12 hex digits from a few numbers of every weight; the same in float32 and bfloat16."""
    import torch

    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        few = parameter.detach().flatten()[:8].to("cpu", torch.bfloat16).float()
        digest.update(f"{name} {tuple(parameter.shape)}".encode())
        digest.update(few.numpy().tobytes())
    return digest.hexdigest()[:12]
