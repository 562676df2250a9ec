"""Linear layers that are not trained: their backward pass reads the weight again instead of keeping what it read."""

from typing import Any

import torch
from torch import Tensor

from experts.qwen2vl.model.device import emulates_bfloat16, linear


class FrozenLinear(torch.nn.Linear):
    """A frozen linear layer, quick in bfloat16 on every CPU: see ``device.linear``."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        product: Tensor = _FrozenProduct.apply(x, self)  # type: ignore[no-untyped-call]
        return product if self.bias is None else product + self.bias


def freeze_emulated_layers(model: Any) -> None:
    """Make linear layers whose products the CPU would emulate ``FrozenLinear``."""
    for module in model.modules():
        if type(module) is torch.nn.Linear and emulates_bfloat16(module.weight):
            module.__class__ = FrozenLinear


class _FrozenProduct(torch.autograd.Function):
    """``x`` times a layer's weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FrozenLinear) -> Tensor:
        ctx.layer = layer
        return linear(x, layer.weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return linear(gradients[0], ctx.layer.weight.T), None
