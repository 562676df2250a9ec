"""The vision-language base that the experts of both tasks share, and its two adapters."""

import hashlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experts.qwen2vl.adapter import check_adapter, read_manifest
from experts.qwen2vl.adapters.lora import check_shapes, read_lora
from experts.qwen2vl.families import FAMILIES, Family
from experts.weight_files import check_base_folder
from mire.compat import patch_torchvision
from mire.errors import PanelError, one_line
from mire.hub import offline_reason
from mire.labels import Task
from mire.settings import Qwen2VL

SPECIAL_TOKENS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
"""What a prompt's frame is made of."""


@dataclass
class Base:
    """A loaded base.

    ``name`` is that of the settings; ``fingerprint`` identifies its weights (``weights_fingerprint``), of which there
    are ``n_parameters``, before they are quantised; ``apart``: adapters stay beside the weights. ``most_tokens`` bounds
    a row, once a longer one did not fit into memory.
    """

    name: str
    model: Any
    tokenizer: Any
    fingerprint: str
    n_parameters: int
    apart: bool = False
    most_tokens: int = sys.maxsize
    _adapted: Any = field(default=None, repr=False)
    _adapters: Any = field(default=None, repr=False)
    _compiled: bool = field(default=False, repr=False)

    def n_adapter_parameters(self, task: Task) -> int:
        """Parameters of one task's adapter."""
        return sum(parameter.numel() for name, parameter in self.model.named_parameters() if f".{task}." in name)

    @property
    def family(self) -> Family:
        """What differs from other families of bases."""
        return FAMILIES[self.model.config.model_type]

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
        from peft import get_peft_model, set_peft_model_state_dict

        from experts.qwen2vl.model.apart_adapters import ApartAdapters
        from experts.qwen2vl.model.merged_weights import MergedModel

        manifest = read_manifest(folder)
        if manifest.base_fingerprint != self.fingerprint:
            raise PanelError(
                f"{folder}: the adapter was trained on base {manifest.base!r} ({manifest.base_fingerprint}), "
                f"but {self.name!r} ({self.fingerprint}) is loaded; name its base in the settings or train again"
            )
        lora = read_lora(folder)
        check_shapes(self.model, lora, folder)
        if self._adapted is None:
            # Apart, an adapter has the base's number format; what is merged is added up in float32.
            self._adapted = get_peft_model(
                self.model, lora.peft_config(), adapter_name=task, autocast_adapter_dtype=not self.apart
            )
            self._adapters = (ApartAdapters if self.apart else MergedModel)(self._adapted)
        elif task not in self._adapted.peft_config:
            self._adapted.add_adapter(task, lora.peft_config(), autocast_adapter_dtype=not self.apart)
        set_peft_model_state_dict(self._adapted, lora.state(), adapter_name=task)
        check_adapter(self._adapted, task, folder)
        self._adapted.eval()

    def compile(self) -> None:
        """Have the layers compiled at their next call."""
        if not self._compiled:
            compile_layers(self.model)
            self._compiled = True

    def adapted(self, task: Task | None) -> Any:
        """The model with the adapter of ``task`` active (None: with none), until another task is asked for.

        Raises:
            PanelError: the adapter is not loaded.
        """
        if self._adapters is None or not (task is None or task in self._adapted.peft_config):
            raise PanelError(f"the {task} adapter is not loaded")
        return self._adapters.use(task)


def load_base(settings: Qwen2VL, *, device: str | None = None) -> Base:
    """Load the base that the settings name: ``nano``, a folder, or a hub name.

    By default it is loaded on the first GPU, or without a GPU on the CPU. Weights go from the file to the device, those
    that are quantised one by one.

    Raises:
        SettingsError: the GPU cannot compute in the format that the settings name; bitsandbytes is missing.
        PanelError: no such folder, or the hub cannot be reached; a file is not whole, is quantised or of another
            model; weights are missing, too many or of other shapes; the tokenizer is missing or another's.
    """
    patch_torchvision()
    import torch
    from transformers import AutoModelForImageTextToText, AutoTokenizer
    from transformers.utils import logging

    from experts.qwen2vl.model.device import choose_attention_kernels, default_device, number_format
    from experts.qwen2vl.model.fast_modules import install_fast_modules
    from experts.qwen2vl.model.frozen_linear import freeze_emulated_layers
    from experts.qwen2vl.model.quantised import quantise_layers

    logging.disable_progress_bar()
    source = base_source(settings.base)
    offline = None if Path(source).is_dir() else offline_reason()
    _check_files(source)
    device = device or default_device()
    dtype = number_format(settings.dtype, device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        # Weights of other shapes are listed with the missing ones, and refused below.
        model, found = AutoModelForImageTextToText.from_pretrained(
            source,
            # The fingerprint is that of bfloat16 weights, of which float16 would round the smallest to zero.
            dtype=torch.bfloat16 if dtype == torch.float16 else dtype,
            # The fingerprint, too, is that of the weights before they are quantised.
            device_map={"": "cpu" if settings.quantize != "none" else device},
            attn_implementation="sdpa",
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # of a damaged file the libraries make errors of any class
        raise PanelError(
            f"the base {settings.base!r} cannot be loaded: {offline or one_line(error)[:300]}; download it once "
            "and name its folder as qwen2vl.base in the settings"
        ) from error
    _check_loaded(settings.base, found, model, tokenizer)
    install_fast_modules(model)
    choose_attention_kernels()
    fingerprint, n_parameters = weights_fingerprint(model), model.num_parameters()
    model.requires_grad_(False).to(dtype).eval()
    if settings.quantize != "none":
        quantise_layers(model, settings.quantize, device)
    freeze_emulated_layers(model)
    rounds = dtype != torch.float32 or settings.quantize != "none"
    apart = settings.adapters == "apart" or (settings.adapters == "auto" and rounds)
    return Base(settings.base, model, tokenizer, fingerprint, n_parameters, apart)


def _check_files(source: str) -> None:
    """Open what lies in a base's folder, or in the hub's cache of it, before the libraries do.

    Raises:
        PanelError: as ``check_base_folder``.
    """
    from huggingface_hub import try_to_load_from_cache

    if Path(source).is_dir():
        check_base_folder(Path(source))
    elif not Path(source).is_absolute() and isinstance(cached := try_to_load_from_cache(source, "config.json"), str):
        check_base_folder(Path(cached).parent, partial=True)


def _check_loaded(name: str, found: dict[str, Any], model: Any, tokenizer: Any) -> None:
    """Refuse a base that the library has filled up with random numbers, or whose tokenizer is another's.

    Raises:
        PanelError: names the first few weights, or the token.
    """
    for what in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if keys := sorted(str(key[0] if isinstance(key, tuple) else key) for key in found.get(what, ())):
            kind = {"missing_keys": "lacks", "mismatched_keys": "has in another shape"}.get(what, "has besides")
            raise PanelError(
                f"the base {name!r} {kind} {len(keys)} weights: {', '.join(keys[:5])}{', ...' if keys[5:] else ''}; "
                "download it again, whole"
            )
    vocabulary = tokenizer.get_vocab()
    missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
    if missing or vocabulary["<|image_pad|>"] != model.config.image_token_id or tokenizer.pad_token_id is None:
        raise PanelError(
            f"the base {name!r} has a tokenizer that is not its own ({missing[0] if missing else '<|image_pad|>'} is "
            "another token there, or none); download its tokenizer files again"
        )


def compile_layers(model: Any) -> None:
    """Have every layer of a base's language model and vision tower compiled at its next call.

    The layers of a tower are alike, so one graph serves all; its lengths are symbolic, so it serves all batches.
    """
    for layer in (*model.model.visual.blocks, *model.model.language_model.layers):
        layer.compile(dynamic=True)


def base_source(name: str) -> str:
    """What ``from_pretrained`` is given: the folder that nano ships in, or the name itself."""
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
