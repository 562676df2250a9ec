"""What the machine can do: the rate of plain matrix products, and how many of them a pass needs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timed:
    """What a call gave, and the seconds it took."""

    value: Any
    seconds: float


def timed(call: Callable[[], Any]) -> Timed:
    """Run once and take the time; waits for the GPU where there is one."""
    import torch

    started = time.perf_counter()
    value = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Timed(value, time.perf_counter() - started)


def best_of(n: int, call: Callable[[], Any]) -> Timed:
    """The fastest of n runs after one to warm up: other work on the machine only ever adds time."""
    call()
    return min((timed(call) for _ in range(n)), key=lambda run: run.seconds)


def matmul_rate(size: int, dtype: Any, device: str) -> float:
    """FLOP/s of the product of two square matrices of ``size``; the best of five."""
    import torch

    a = torch.randn(size, size, dtype=dtype, device=device)
    return 2 * size**3 / best_of(5, lambda: a @ a).seconds


def sustained_matmul_rate(size: int, dtype: Any, device: str, *, seconds: float) -> float:
    """FLOP/s of the same product over and over: a GPU's power limit lowers its clock within a second."""
    import torch

    a, n, spent = torch.randn(size, size, dtype=dtype, device=device), 0, 0.0
    while spent < seconds:
        spent += timed(lambda: [a @ a for _ in range(10)]).seconds
        n += 10
    return 2 * size**3 * n / spent


def count_flops(call: Callable[[], Any]) -> int:
    """Floating point operations of the matrix products, convolutions and attentions inside a call."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    # Fused attention on a CPU is not counted; as two matrix products it is.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())
