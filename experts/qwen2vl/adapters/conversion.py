"""Adapters that were trained elsewhere: by LLaMA-Factory, or with transformers before 4.52."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experts.qwen2vl.adapter import CONFIG, WEIGHTS
from experts.qwen2vl.adapters.lora import Factors, current_name, read_lora, write_lora
from mire.errors import PanelError
from mire.labels import Task
from mire.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)


def convert(adapter: Path, out: Path, *, task: Task, settings: Settings) -> None:
    """Write the converted PEFT folder: plain LoRA with today's module names.

    Raises:
        PanelError: no whole safetensors or configuration, other weights than LoRA's, keys that do not fit the
            settings' base, or an adapter that changes nothing; ``out`` is not touched then.
    """
    if (adapter / "adapter_model.bin").is_file() and not (adapter / WEIGHTS).is_file():
        raise PanelError(f"{adapter}: adapter_model.bin is a pickle and is not read; save it as {WEIGHTS}")
    for name in (WEIGHTS, CONFIG):
        if not (adapter / name).is_file():
            raise PanelError(f"{adapter} holds no {name}; an adapter to convert is a PEFT folder with safetensors")
    if out.exists():
        raise PanelError(f"{out} is there already; choose another --out, or delete it")
    lora = read_lora(adapter, changed_base=True)
    if lora.start not in (None, "pissa", "olora"):
        raise PanelError(
            f"{adapter / CONFIG}: init_lora_weights is {lora.start!r}, which changed the base in a way that the folder "
            "does not hold; where it was trained, save it as plain LoRA (PEFT: path_initial_model_for_weight_"
            "conversion; LLaMA-Factory: pissa_convert, folder pissa_converted)"
        )
    factors = {current_name(module): part for module, part in lora.factors.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as name:
        made = Path(name) / out.name
        _write_on_base(made, factors, lora.start, task=task, settings=settings)
        shutil.move(made, out)


def _write_on_base(
    folder: Path, factors: dict[str, Factors], start: str | None, *, task: Task, settings: Settings
) -> None:
    """Write the adapter and what it works with, and load it on the base that it is for."""
    from experts.qwen2vl.adapter import write_manifest
    from experts.qwen2vl.base import load_base
    from experts.qwen2vl.voter import manifest

    base = load_base(settings.qwen2vl)
    if start:
        logger.info(f"{task}: taking {start}'s start out of {len(factors)} weights")
        factors = {module: _plain(module, part, start, base.model) for module, part in factors.items()}
    write_lora(factors, folder, base=settings.qwen2vl.base)
    write_manifest(manifest(base, settings.taxonomy(task), settings.qwen2vl), folder)
    base.attach(task, folder)


def _plain(module: str, part: Factors, start: str, model: Any) -> Factors:
    """Factors of what was learned: PiSSA and OLoRA first took ``b0 @ a0``, made from the weight, out of the base.

    The weight became ``W - b0 @ a0`` and ``scale * b @ a`` came on top, so that ``scale * b @ a - b0 @ a0`` is what the
    adapter adds to W: twice the rank, exact up to the rounding of the number format that it was trained in.

    Raises:
        PanelError: the base has no such weight, or it is no matrix.
    """
    import torch

    try:
        weight = model.get_submodule(module).weight
    except AttributeError as error:
        raise PanelError(f"the adapter's keys do not fit the base: it has no {module}") from error
    if weight.shape != (len(part.b), part.a.shape[-1]):
        raise PanelError(
            f"{start}'s start cannot be taken out of {module}: the weight is {tuple(weight.shape)}, the adapter's "
            f"{(len(part.b), *part.a.shape[1:])}; convert it where it was trained"
        )
    first_a, first_b = _first_factors(weight.detach().float(), part, start)
    a = torch.cat([part.a.float(), first_a.cpu()])
    b = torch.cat([part.b.float() * part.scale, -first_b.cpu()], dim=1)
    return Factors(a, b, 1.0)


def _first_factors(weight: "Tensor", part: Factors, start: str) -> "tuple[Tensor, Tensor]":
    """``a0`` (rank, n_in) and ``b0`` (n_out, rank), their product as it left the base."""
    import torch

    if start == "olora":  # PEFT scales these orthonormal factors like the adapter
        q, r = torch.linalg.qr(weight)
        return r[: part.rank], q[:, : part.rank] * part.scale
    u, s, v = torch.linalg.svd(weight, full_matrices=False)
    return s[: part.rank, None] * v[: part.rank], u[:, : part.rank]
