"""Devices, number formats and attention kernels; the cards are made up."""

from threading import Thread

import pytest
import torch

from experts.qwen2vl.base import load_base
from experts.qwen2vl.model import device
from experts.qwen2vl.model.device import bfloat16_factors, number_format, out_of_memory
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


@pytest.mark.parametrize(
    ("dtype", "native", "transformers", "expected"),
    [
        (torch.bfloat16, True, "5.19.0", "medium"),
        (torch.bfloat16, True, "5.18.1", "highest"),
        (torch.bfloat16, False, "5.19.0", "highest"),
        (torch.float32, True, "5.19.0", "highest"),
    ],
)
def test_products_round_their_factors_only_beside_a_model_that_does_so_too(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, native: bool, transformers: str, expected: str
) -> None:
    monkeypatch.setattr(device, "multiplies_bfloat16", lambda: native)
    monkeypatch.setattr(device, "version", {"transformers": transformers}.__getitem__)
    with pytest.raises(ZeroDivisionError), bfloat16_factors(torch.nn.Linear(2, 2, dtype=dtype)):
        assert torch.get_float32_matmul_precision() == expected
        1 / 0  # noqa: B018
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_thread_waits_for_the_setting_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(device, "version", {"transformers": "5.19"}.__getitem__)
    model, seen = torch.nn.Linear(2, 2, dtype=torch.bfloat16), list[str]()

    def other() -> None:
        with bfloat16_factors(model):
            seen.append(torch.get_float32_matmul_precision())

    thread = Thread(target=other)
    with bfloat16_factors(model), bfloat16_factors(model):
        thread.start()
        thread.join(timeout=0.2)
        assert not seen
    thread.join()
    assert (seen, torch.get_float32_matmul_precision()) == (["medium"], "highest")


def test_products_of_bfloat16_numbers_lose_nothing() -> None:
    torch.manual_seed(0)
    left, right = torch.randn(300, 128).bfloat16().float(), torch.randn(128, 900).bfloat16().float()
    exact = (left.double() @ right.double()).float()
    with bfloat16_factors(torch.nn.Linear(2, 2, dtype=torch.bfloat16)):
        torch.testing.assert_close(left @ right, exact, atol=1e-4, rtol=1e-5)
