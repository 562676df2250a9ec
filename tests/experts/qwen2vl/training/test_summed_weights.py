"""A summed layer trains what PEFT's own layer trains, and stands only where it is cheaper and as exact."""

from typing import Any

import pytest
import torch
from torch import Tensor


def adapted(n_in: int, n_out: int, *, dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> Any:
    """A linear layer with an adapter of rank 4 and random factors."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    base = torch.nn.Sequential(torch.nn.Linear(n_in, n_out, dtype=dtype))
    config = LoraConfig(r=4, lora_alpha=12, lora_dropout=dropout, target_modules=["0"], init_lora_weights=False)
    return get_peft_model(base, config)


def is_summed(model: Any) -> bool:
    """Whether the layer is a summed one, after ``sum_weights``."""
    from experts.qwen2vl.training.summed_weights import SummedLinear, sum_weights

    sum_weights(model)
    return isinstance(model.base_model.model[0], SummedLinear)


def gradients(model: Any) -> list[Tensor]:
    """The output, and the gradients of the input and of both factors, for a sum of squares."""
    x = torch.arange(18.0).view(3, 6).sin().requires_grad_()
    out = model(x)
    out.square().sum().backward()
    return [out.detach(), *(part.grad for part in (x, *model.parameters()) if part.requires_grad)]


def test_a_summed_layer_gives_the_same_output_and_gradients() -> None:
    usual, summed = adapted(6, 5), adapted(6, 5)
    assert is_summed(summed)
    for expected, found in zip(gradients(usual), gradients(summed), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("n_in", "n_out", "dropout", "dtype", "summed"),
    [
        (23, 23, 0.0, torch.float32, True),  # 529 products, less than 3 * 4 * 46 = 552
        (24, 24, 0.0, torch.float32, False),  # 576, not less than 576
        (6, 5, 0.1, torch.float32, False),
        (6, 5, 0.0, torch.bfloat16, False),
    ],
)
def test_layers_are_summed_where_it_is_cheaper_and_exact(
    n_in: int, n_out: int, dropout: float, dtype: torch.dtype, summed: bool
) -> None:
    assert is_summed(adapted(n_in, n_out, dropout=dropout, dtype=dtype)) is summed
