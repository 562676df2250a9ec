"""An adapter's folder: an ordinary PEFT folder, and one small file that says what it was trained for."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from experts.qwen2vl.inputs.pictures import Resize
from experts.qwen2vl.inputs.prompt import Layout
from mire.atomic_files import read_model, write_text
from mire.errors import PanelError
from mire.labels import Task

if TYPE_CHECKING:
    from torch import Tensor

MANIFEST = "mire.json"
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


class Manifest(BaseModel):
    """What an adapter was trained for: the base's weights, the prompt, the labels and the pixel limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Task
    base: str
    base_fingerprint: str
    layout: Layout
    taxonomy: str
    min_pixels: int
    max_pixels: int
    max_tokens: int
    resize: Resize = "qwen2vl"


def read_manifest(folder: Path) -> Manifest:
    """Read ``mire.json``, before anything else of an adapter is read.

    Raises:
        PanelError: it is missing or broken, or the weights are no safetensors: PEFT would unpickle others.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise PanelError(f"{folder} is no adapter of this project: {MANIFEST} is missing; see mire convert")
    manifest = read_model(path, Manifest, next_step="copy the folder again")
    if not (folder / WEIGHTS).is_file():
        raise PanelError(f"{folder} holds no {WEIGHTS}; adapters are only read as safetensors")
    return manifest


def read_tensors(folder: Path) -> "dict[str, Tensor]":
    """The weights of a PEFT folder.

    Raises:
        PanelError: they are no safetensors, or not whole.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise PanelError(f"{folder / WEIGHTS} is no whole safetensors file: {error}; copy the folder again") from error


def read_config(folder: Path) -> dict[str, Any]:
    """PEFT's own configuration.

    Raises:
        PanelError: it is missing or broken.
    """
    return read_model(folder / CONFIG, dict[str, Any], next_step="copy the folder again")


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write ``mire.json``."""
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def check_manifest(found: Manifest, wanted: Manifest, folder: Path) -> None:
    """Refuse an adapter that was trained for something else.

    Raises:
        PanelError: names every entry that differs, with both sides.
    """
    have, want = found.model_dump(), wanted.model_dump()
    differing = [f"{key} {have[key]!r} but {want[key]!r} is asked for" for key in have if have[key] != want[key]]
    if differing:
        raise PanelError(f"{folder}: the adapter was trained with {'; '.join(differing)}; train it again")


def check_base_name(folder: Path, base: str) -> None:
    """Refuse settings that name another base than the adapter's, before anything asks a hub for either.

    Raises:
        PanelError: names both.
    """
    if (folder / MANIFEST).is_file() and (found := read_manifest(folder).base) != base:
        raise PanelError(
            f"{folder}: the adapter was trained with base {found!r} but {base!r} is asked for; train it again"
        )


def check_adapter(model: Any, name: str, folder: Path) -> None:
    """Refuse an adapter whose weights did not all arrive, or that leaves the logits where they are.

    A folder saved under other module names loads without an error and has no effect
    (https://github.com/huggingface/peft/issues/2574), so the keys are compared on both sides.

    Raises:
        PanelError: names missing and surplus keys.
    """
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as file:
        saved = set(file.keys())
    loaded: Mapping[str, Any] = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    missing, surplus = sorted(loaded.keys() - saved), sorted(saved - loaded.keys())
    if missing or surplus:
        raise PanelError(
            f"{folder}: the adapter's keys do not fit the base: {len(missing)} missing (first: "
            f"{(missing or ['none'])[0]}), {len(surplus)} unknown (first: {(surplus or ['none'])[0]}); one that was "
            "trained elsewhere is converted by mire convert"
        )
    if not all(bool(tensor.isfinite().all()) for tensor in loaded.values()):
        raise PanelError(f"{folder}: the adapter holds numbers that are infinite or none; train it again")
    if not any(_moves(module, name) for module in model.modules()):
        raise PanelError(f"{folder}: the adapter changes nothing: its weights or their scaling are zero; train it")


def _moves(module: Any, name: str) -> bool:
    """Whether the adapter adds anything to what this module puts out: scaling * B A is not zero."""
    if name not in getattr(module, "lora_A", ()):
        return False
    # Flat, for a convolution's weights (out, in, ...) too.
    low, high = (part[name].weight.flatten(1) for part in (module.lora_A, module.lora_B))
    return bool(module.scaling[name] and (high @ low).any())
