"""The average of LoRA adapters of one task: no further call, one adapter to load."""

from collections.abc import Sequence
from pathlib import Path

from experts.qwen2vl.adapter import read_manifest, write_manifest
from experts.qwen2vl.adapters.lora import Factors, LoraAdapter, read_lora, write_lora
from mire.errors import PanelError, UsageError


def merge_adapters(adapters: Sequence[Path], out: Path, *, rank: int | None = None) -> None:
    """Write the average of PEFT folders as a PEFT folder, each with its own ranks and scales.

    Without ``rank`` it is exact; with it, the best approximation of that rank (Eckart and Young 1936,
    https://doi.org/10.1007/BF02288367).

    Raises:
        PanelError: no adapter, a broken one, or adapters that were trained for different things or on different
            layers; ``out`` is one of them.
        UsageError: ``rank`` is below one.
    """
    if rank is not None and rank < 1:
        raise UsageError(f"--rank must be at least 1, got {rank}")
    if out.resolve() in {adapter.resolve() for adapter in adapters}:
        raise PanelError(f"{out} is one of the adapters to merge; choose another --out")
    manifests = [read_manifest(adapter) for adapter in adapters]
    parts = [read_lora(adapter) for adapter in adapters]
    _check(adapters, manifests, parts)
    write_lora(
        {module: _average([part.factors[module] for part in parts], rank) for module in parts[0].factors},
        out,
        base=manifests[0].base,
    )
    write_manifest(manifests[0], out)


def _average(parts: Sequence[Factors], rank: int | None) -> Factors:
    """Factors of the mean of ``scale * b @ a``, with scale 1; a convolution's keep their kernel's axes."""
    import torch

    # In float32: a scale may not round the factors of a half-precision adapter.
    stacked_a = torch.cat([part.a.float() for part in parts])
    stacked_b = torch.cat([part.b.float() * (part.scale / len(parts)) for part in parts], dim=1)
    if rank is None or rank >= len(stacked_a):
        return Factors(stacked_a, stacked_b, 1.0)
    # The product's singular directions, without forming the product: both factors are thin.
    left, small_left = torch.linalg.qr(stacked_b.flatten(1))
    right, small_right = torch.linalg.qr(stacked_a.flatten(1).T)
    u, s, v = torch.linalg.svd(small_left @ small_right.T, full_matrices=False)
    new_a, new_b = s[:rank, None].sqrt() * (v[:rank] @ right.T), (left @ u[:, :rank]) * s[:rank].sqrt()
    # A layer narrower than the rank has no more directions, and gets a lower one.
    n = len(new_a)
    return Factors(new_a.reshape(n, *stacked_a.shape[1:]), new_b.reshape(-1, n, *stacked_b.shape[2:]), 1.0)


def _check(adapters: Sequence[Path], manifests: Sequence[object], parts: Sequence[LoraAdapter]) -> None:
    if not adapters:
        raise PanelError("a merge needs at least one adapter")
    for other in range(1, len(adapters)):
        if manifests[other] != manifests[0]:
            raise PanelError(
                f"{adapters[0]} and {adapters[other]} were trained for different things; see their mire.json"
            )
        if parts[other].factors.keys() != parts[0].factors.keys():
            raise PanelError(f"{adapters[0]} and {adapters[other]} differ in the adapted layers")
