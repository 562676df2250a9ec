"""Where a model computes, in which number format, and by which attention kernels."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from threading import RLock

import torch

from mire.errors import SettingsError

ELEMENTWISE_ANGLES = "5.19"
"""Before this version of transformers the angles of rotary positions are a float32 product, which must stay exact."""
NATIVE_BFLOAT16 = (8, 0)
"""The first compute capability that multiplies bfloat16 itself; older cards emulate it, and are many times slower."""


def default_device() -> str:
    """The first GPU, Apple's included, or the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def number_format(name: str, device: str) -> torch.dtype:
    """The weights' format by its name in the settings; ``auto`` is float32 on a CPU and bfloat16 elsewhere.

    Raises:
        SettingsError: the card does not multiply bfloat16 natively.
    """
    if name == "auto":
        name = "float32" if device.startswith("cpu") else "bfloat16"
    if name == "bfloat16" and device.startswith("cuda"):
        found = torch.cuda.get_device_capability(device)
        if found < NATIVE_BFLOAT16:
            raise SettingsError(
                f"qwen2vl.dtype=bfloat16 needs compute capability 8.0, {torch.cuda.get_device_name(device)} has "
                f"{found[0]}.{found[1]}; set qwen2vl.dtype=float16 (a sample that overflows is left to the other "
                "voters) or float32 (twice the memory)"
            )
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def emulates_bfloat16(weight: torch.Tensor) -> bool:
    """Whether the weight is bfloat16 on a CPU for which oneDNN has no such product: torch has a slow one."""
    if weight.dtype != torch.bfloat16 or weight.device.type != "cpu":
        return False
    return not multiplies_bfloat16()


def multiplies_bfloat16() -> bool:
    """Whether oneDNN has a product of bfloat16 on this CPU."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """``torch.nn.functional.linear``; where bfloat16 is emulated, in float32, and rounded once."""
    if not emulates_bfloat16(weight):
        return torch.nn.functional.linear(x, weight, bias)
    wide = torch.nn.functional.linear(x.float(), weight.float(), None if bias is None else bias.float())
    return wide.to(x.dtype)


_ROUNDING = RLock()


@contextmanager
def bfloat16_factors(model: torch.nn.Module) -> Iterator[None]:
    """Where the model computes in bfloat16 on a CPU, float32 products round their factors to bfloat16 meanwhile.

    Their results stay float32. That is twice as fast where the CPU multiplies bfloat16 itself, and exact for factors
    that are bfloat16 numbers in float32. torch has this as a setting of the process, so other threads wait here.
    """
    from packaging.version import Version

    weight = next(model.parameters())
    in_bfloat16 = weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and multiplies_bfloat16()
    if not in_bfloat16 or Version(version("transformers")) < Version(ELEMENTWISE_ANGLES):
        yield
        return
    with _ROUNDING:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def choose_attention_kernels() -> None:
    """Leave attention to the flash and the memory-efficient kernel, never to cuDNN's.

    On H100 and later torch prefers cuDNN's kernel. It builds a graph for every new shape (49 to 69 ms on an H200, and
    our rows have many shapes), fails where it cannot build one, and is reported to give NaN gradients behind a mask at
    some lengths (https://github.com/pytorch/pytorch/issues/196678).
    """
    torch.backends.cuda.enable_cudnn_sdp(False)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether the device's memory has ended; cuBLAS and cuDNN say so in a plain ``RuntimeError``."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "ALLOC_FAILED" in said or "out of memory" in said
