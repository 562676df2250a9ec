"""Files of weights, opened before a library trusts them: cut short, empty, or a pointer to what was not fetched."""

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np

from experts.qwen2vl.families import FAMILIES
from mire.errors import PanelError

_POINTER = b"version https://git-lfs"
_NO_WEIGHTS = ("explained_variance_ratio_",)
"""Attributes that are 0 / 0 where all training texts are the same, and that no answer rests on."""
_TOKENIZER = ("tokenizer.json", "vocab.json and merges.txt")


def check_safetensors(path: Path) -> None:
    """Refuse a file that is no whole safetensors file.

    Raises:
        PanelError: says what it is instead, and what to do.
    """
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors":
        raise PanelError(f"{path}: weights are only read as safetensors, anything else may run code; convert it once")
    if not path.is_file():
        raise PanelError(f"{path} is missing; download the weights again")
    with path.open("rb") as file:
        start = file.read(len(_POINTER))
    if start == _POINTER:
        raise PanelError(f"{path} is a pointer of git-lfs, not the weights; fetch them: git lfs pull")
    if not start:
        raise PanelError(f"{path} is empty; download the weights again")
    try:
        with safe_open(path, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise PanelError(f"{path} is no whole safetensors file: {error}; download the weights again") from error


def readable_as(path: Path, other: Path) -> None:
    """Let whoever may read ``other`` read ``path`` too: from 0.8 on, safetensors writes for the file's owner alone."""
    path.chmod(stat.S_IMODE(other.stat().st_mode))


def load_skops(path: Path) -> dict[str, Any]:
    """The parts of a model that ``skops.io.dump`` wrote; skops refuses any type that it does not know to be harmless.

    Raises:
        PanelError: a number in it is infinite or none.
    """
    import skops.io

    parts: dict[str, Any] = skops.io.load(path, trusted=[])
    if not _is_finite(parts):
        raise PanelError(f"{path} holds numbers that are infinite or none; copy the panel again, or train it again")
    return parts


def _is_finite(value: Any) -> bool:
    """Whether every number in a value, its entries and its attributes is finite, but for those that decide nothing."""
    if isinstance(value, dict):
        value = [each for name, each in value.items() if name not in _NO_WEIGHTS]
    elif isinstance(value, np.ndarray) and value.dtype.hasobject:
        value = value.ravel().tolist()
    if isinstance(value, (list, tuple, set)):
        return all(_is_finite(each) for each in value if not isinstance(each, (int, str)))  # as most, of vocabularies
    if isinstance(value, (float, np.ndarray, np.generic)):
        numbers = np.asarray(value)
        return bool(np.isfinite(numbers).all()) if numbers.dtype.kind in "fc" else True
    return _is_finite(vars(value)) if hasattr(value, "__dict__") else True


def check_base_folder(folder: Path, *, partial: bool = False) -> None:
    """Refuse a folder that is no whole base of a known family; ``partial`` asks only that what is there is sound.

    Raises:
        PanelError: names the file, and the next step.
    """
    config = read_json(folder / "config.json")
    if config.get("model_type") not in FAMILIES:
        raise PanelError(
            f"{folder / 'config.json'} is of model type {str(config.get('model_type'))[:80]!r}, but supported are "
            f"{', '.join(family.bases for family in FAMILIES.values())}; name one of them as qwen2vl.base"
        )
    if quantised := config.get("quantization_config"):
        method = quantised.get("quant_method", "unknown") if isinstance(quantised, dict) else "unknown"
        raise PanelError(
            f"{folder / 'config.json'} says that the weights are quantised ({str(method)[:40]}), which is not read "
            "here; name the base in bfloat16 as qwen2vl.base, and set qwen2vl.quantize: int8 or nf4 for a small GPU"
        )
    for path in _shards(folder, partial=partial):
        check_safetensors(path)
    if not partial:
        _check_tokenizer(folder)


def _shards(folder: Path, *, partial: bool) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = read_json(index).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise PanelError(f"{index} names no weights; download it again")
        paths = [folder / Path(str(name)).name for name in sorted(set(map(str, named.values())))]
    else:
        paths = sorted(folder.glob("*.safetensors"))
    if not paths and not partial:
        pickles = sorted([*folder.glob("*.bin"), *folder.glob("*.pt*")])
        if pickles:
            check_safetensors(pickles[0])
        raise PanelError(f"{folder} holds no safetensors file; download it again")
    return [path for path in paths if path.exists() or not partial]


def _check_tokenizer(folder: Path) -> None:
    whole, parts = folder / "tokenizer.json", [folder / "vocab.json", folder / "merges.txt"]
    if not whole.is_file() and not all(path.is_file() for path in parts):
        raise PanelError(f"{folder} holds no tokenizer ({' or '.join(_TOKENIZER)}); download it again, whole")
    if whole.is_file():
        read_json(whole)


def read_json(path: Path) -> dict[str, Any]:
    """An object in a file of settings beside weights.

    Raises:
        PanelError: it is missing, a pointer, or no JSON object.
    """
    if not path.is_file():
        raise PanelError(f"{path} is missing; download it again, whole")
    content = path.read_bytes()
    if content.startswith(_POINTER):
        raise PanelError(f"{path} is a pointer of git-lfs, not the file; fetch it: git lfs pull")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PanelError(f"{path} is no whole JSON: {str(error)[:120]}; download it again") from error
    if not isinstance(body, dict):
        raise PanelError(f"{path} is no object of settings; download it again")
    return body
