"""What the machine does: seconds and memory of steps, the rate of plain matrix products, how many a pass needs."""

import resource
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


@dataclass(frozen=True)
class Step:
    """One step: its seconds, what it handled per second, the device's peak memory, and the process's memory."""

    name: str
    seconds: float
    per_second: float
    device_gib: float
    host_gib: float


def bytes_of(pid: int | None = None) -> int:
    """Of a process, now; of this one by default."""
    import psutil

    return int(psutil.Process(pid).memory_info().rss)


def most_of_a_child() -> int:
    """Of the largest process that was started so far and has ended."""
    return 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


class Steps(list[Step]):
    """The steps so far, each printed as it ends."""

    def take(self, name: str, n: int, call: Callable[[], Any], *, bytes_in_use: Callable[[], int] = bytes_of) -> Any:
        """Run a step that handles ``n`` things; returns what it returned. ``bytes_in_use`` is asked afterwards."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        done = timed(call)
        device = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
        host = bytes_in_use() / 2**30
        self.append(Step(name, done.seconds, n / done.seconds, device, host))
        print(f"{name:<34} {done.seconds:>9.2f} {n / done.seconds:>10.2f} {device:>7.1f} {host:>7.1f}", flush=True)
        return done.value
