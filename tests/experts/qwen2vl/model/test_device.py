"""Devices, number formats and attention kernels; the cards are made up."""

import pytest
import torch

from experts.qwen2vl.base import load_base
from experts.qwen2vl.model.device import number_format, out_of_memory
from mire.errors import SettingsError
from mire.settings import Qwen2VL


@pytest.mark.parametrize(
    ("name", "device", "expected"),
    [
        ("auto", "cpu", torch.float32),
        ("auto", "cpu:1", torch.float32),
        ("auto", "mps", torch.bfloat16),
        ("bfloat16", "cpu", torch.bfloat16),
        ("float16", "cuda:1", torch.float16),
        ("float32", "cuda", torch.float32),
    ],
)
def test_formats_by_name(name: str, device: str, expected: torch.dtype) -> None:
    assert number_format(name, device) is expected


@pytest.mark.parametrize(("capability", "fits"), [((7, 0), False), ((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_card_without_bfloat16_is_refused_with_what_works_there(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], fits: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
    if fits:
        assert number_format("auto", "cuda") is torch.bfloat16
        return
    with pytest.raises(SettingsError, match=r"Tesla T4 has 7\.\d; set qwen2vl.dtype=float16 .* or float32"):
        number_format("auto", "cuda")


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_weights_go_from_the_file_to_the_device(
    nano_settings: Qwen2VL, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    from transformers import Qwen2VLForConditionalGeneration

    asked: dict[str, object] = {}

    def load(source: str, **options: object) -> None:
        asked.update(options)
        raise MemoryError

    monkeypatch.setattr(Qwen2VLForConditionalGeneration, "from_pretrained", load)
    with pytest.raises(MemoryError):
        load_base(nano_settings.model_copy(update={"dtype": "float32"}), device=device)
    assert asked["device_map"] == {"": device}


def test_cudnn_does_no_attention(nano_settings: Qwen2VL) -> None:
    torch.backends.cuda.enable_cudnn_sdp(True)
    load_base(nano_settings, device="cpu")
    assert not torch.backends.cuda.cudnn_sdp_enabled()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_memory_that_ended(error: RuntimeError, expected: bool) -> None:
    assert out_of_memory(error) is expected
