"""The average of LoRA adapters of one task: no further call, one adapter to load."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experts.qwen2vl.adapter import CONFIG, WEIGHTS, read_config, read_manifest, read_tensors, write_manifest
from mire.errors import PanelError

if TYPE_CHECKING:
    from torch import Tensor


_A, _B = "lora_A.weight", "lora_B.weight"


def merge_adapters(adapters: Sequence[Path], out: Path, *, rank: int | None = None) -> None:
    """Write the average of PEFT folders as a PEFT folder.

    Without ``rank`` it is exact; with it, the best approximation of that rank (Eckart and Young 1936,
    https://doi.org/10.1007/BF02288367).

    Raises:
        PanelError: no adapter, a broken one, or adapters that were trained for different things or on different layers.
    """
    from safetensors.torch import save_file

    manifests = [read_manifest(adapter) for adapter in adapters]
    configs = [read_config(adapter) for adapter in adapters]
    states = [read_tensors(adapter) for adapter in adapters]
    _check(adapters, manifests, configs, states)
    share = configs[0]["lora_alpha"] / configs[0]["r"] / len(states)
    merged: dict[str, Tensor] = {}
    for key in (key for key in states[0] if key.endswith(_A)):
        pair = key.removesuffix(_A)
        merged[pair + _A], merged[pair + _B] = _average(
            [state[pair + _A] for state in states], [state[pair + _B] for state in states], share, rank
        )
    n_ranks = len(next(iter(merged.values())))
    out.mkdir(parents=True, exist_ok=True)
    save_file(merged, out / WEIGHTS, metadata={"format": "pt"})
    config = {**configs[0], "r": n_ranks, "lora_alpha": n_ranks}
    (out / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_manifest(manifests[0], out)


def _average(a: "Sequence[Tensor]", b: "Sequence[Tensor]", share: float, rank: int | None) -> "tuple[Tensor, Tensor]":
    """Factors (rank, n_in) and (n_out, rank) of ``share * sum(B @ A)``; a convolution's keep their kernel's axes."""
    import torch

    stacked_a, stacked_b = torch.cat(list(a)), torch.cat(list(b), dim=1) * share
    if rank is None or rank >= len(stacked_a):
        return stacked_a.contiguous(), stacked_b.contiguous()
    # The product's singular directions, without forming the product: both factors are thin.
    left, small_left = torch.linalg.qr(stacked_b.float().flatten(1))
    right, small_right = torch.linalg.qr(stacked_a.float().flatten(1).T)
    u, s, v = torch.linalg.svd(small_left @ small_right.T, full_matrices=False)
    new_a, new_b = s[:rank, None].sqrt() * (v[:rank] @ right.T), (left @ u[:, :rank]) * s[:rank].sqrt()
    missing = rank - len(new_a)  # a layer narrower than the rank has no more directions
    if missing > 0:
        new_a = torch.nn.functional.pad(new_a, (0, 0, 0, missing))
        new_b = torch.nn.functional.pad(new_b, (0, missing))
    shape_a, shape_b = (rank, *stacked_a.shape[1:]), (len(new_b), rank, *stacked_b.shape[2:])
    return _shaped(new_a, shape_a, stacked_a), _shaped(new_b, shape_b, stacked_b)


def _shaped(factor: "Tensor", shape: Sequence[int], like: "Tensor") -> "Tensor":
    return factor.reshape(*shape).to(like.dtype).contiguous()


def _check(adapters: Sequence[Path], manifests: Sequence[Any], configs: Sequence[Any], states: Sequence[Any]) -> None:
    if not adapters:
        raise PanelError("a merge needs at least one adapter")
    for other in range(1, len(adapters)):
        if manifests[other] != manifests[0]:
            raise PanelError(
                f"{adapters[0]} and {adapters[other]} were trained for different things; see their mire.json"
            )
        same_scale = all(configs[other][key] == configs[0][key] for key in ("r", "lora_alpha"))
        if not same_scale or states[other].keys() != states[0].keys():
            raise PanelError(f"{adapters[0]} and {adapters[other]} differ in rank, alpha or adapted layers")
