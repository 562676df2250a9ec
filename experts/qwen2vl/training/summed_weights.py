"""LoRA layers of a small base that add the adapter to the weight first: ``x (W + scale * A B)``.

That is one matrix product over the tokens where ``x W + scale * x A B`` is three, and two sums. It trains the same
adapter, up to rounding, but its gradient is first taken by the whole weight: a gain only where the rank is not small
beside the layer, as in nano, never in a 7B.
"""

from typing import Any

import torch
from peft.tuners import lora
from torch import Tensor


class SummedLinear(lora.Linear):
    """A linear layer with one adapter, in float32 and without dropout."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(..., in) to (..., out)."""
        (name,) = self.active_adapters
        high, low = self.lora_B[name].weight, self.lora_A[name].weight
        weight = torch.addmm(self.base_layer.weight, high, low, alpha=self.scaling[name])
        return torch.nn.functional.linear(x, weight, self.base_layer.bias)


def sum_weights(model: Any) -> None:
    """Let a PEFT model's layers compute in the cheaper of the two ways."""
    for module in model.modules():
        if type(module) is lora.Linear and _is_cheaper(module):
            module.__class__ = SummedLinear


def _is_cheaper(layer: Any) -> bool:
    """Whether a token costs fewer products, forward and backward: the weight's gradient instead of the factors' path.

    A half-precision sum would round the adapter away, and dropout falls between the two.
    """
    base, (name,) = layer.base_layer, layer.active_adapters
    plain = type(base) is torch.nn.Linear and base.weight.dtype == torch.float32
    without_dropout = isinstance(layer.lora_dropout[name], torch.nn.Identity)
    sides = base.in_features, base.out_features
    return plain and without_dropout and sides[0] * sides[1] < 3 * layer.r[name] * sum(sides)
