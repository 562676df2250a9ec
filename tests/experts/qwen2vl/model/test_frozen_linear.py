"""Frozen linear layers: their products and gradients, and which layers of a base they replace."""

import pytest
import torch

from experts.qwen2vl.base import load_base
from experts.qwen2vl.model import device
from experts.qwen2vl.model.frozen_linear import FrozenLinear, freeze_emulated_layers
from mire.settings import Qwen2VL


def layer(dtype: torch.dtype) -> torch.nn.Module:
    """y = (3 x1 + 4 x2 + 1, 5 x1 + 6 x2)."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    model[0].weight.data = torch.tensor([[3.0, 4.0], [5.0, 6.0]])
    model[0].bias.data = torch.tensor([1.0, 0.0])
    return model.requires_grad_(False).to(dtype)


@pytest.mark.parametrize("native", [True, False])
def test_products_and_gradients_are_those_of_a_linear_layer(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = layer(torch.bfloat16)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    freeze_emulated_layers(model)
    assert type(model[0]) is FrozenLinear
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: native)
    x = torch.tensor([[1.0, 2.0], [0.0, -1.0]], dtype=torch.bfloat16, requires_grad=True)
    y = model(x)
    assert y.dtype == torch.bfloat16 and y.tolist() == [[12, 17], [-3, -6]]
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[8, 10], [8, 10]]


def test_a_product_is_made_in_float32_and_rounded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """256 + 1 has no bfloat16, but 256 + 1 + 1 has: rounded after each summand, it would stay 256."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    formats: list[torch.dtype] = []
    plain = torch.nn.functional.linear

    def product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        formats.extend((x.dtype, weight.dtype))
        return plain(x, weight, bias)

    monkeypatch.setattr(torch.nn.functional, "linear", product)
    x, weight = (torch.tensor([row], dtype=torch.bfloat16) for row in ([256.0, 1.0, 1.0], [1.0, 1.0, 1.0]))
    assert device.linear(x, weight).tolist() == [[258]]
    assert formats == [torch.float32, torch.float32]


def test_only_what_a_cpu_emulates_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    plain = layer(torch.float32)
    freeze_emulated_layers(plain)
    assert type(plain[0]) is torch.nn.Linear
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    native = layer(torch.bfloat16)
    freeze_emulated_layers(native)
    assert type(native[0]) is torch.nn.Linear


def test_a_base_in_bfloat16_gets_them_where_the_cpu_emulates(
    nano_settings: Qwen2VL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    model = load_base(nano_settings.model_copy(update={"dtype": "bfloat16"}), device="cpu").model
    assert isinstance(model.model.language_model.layers[0].mlp.down_proj, FrozenLinear)
    assert isinstance(model.model.visual.blocks[0].mlp.fc1, FrozenLinear)
