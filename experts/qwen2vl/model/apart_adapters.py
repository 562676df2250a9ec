"""Adapters beside the base's weights, both tasks' in one model: ``x W + scale * x A B`` as one matrix product.

In bfloat16 a sum keeps nothing of a summand below half a step of the result. Merged into the weights, an adapter of a
7B with B of standard deviation 5e-4 keeps 0.80 of its effect; added to the base's output, which is rounded too, no
more. Here B stands beside W in one matrix, and ``x A`` beside x: the product adds all of it up in float32, and rounds
once. Changing the task moves no weights.
"""

from typing import Any

import torch
from peft.tuners import lora
from torch import Tensor

from experts.qwen2vl.model.device import linear
from experts.qwen2vl.model.quantised import QuantisedLinear
from mire.labels import Task


class ApartAdapters:
    """A PEFT model that applies one task's adapter at a time, unmerged."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def use(self, task: Task | None) -> Any:
        """The model with the adapter of ``task`` active; None: with none."""
        for module in self._model.modules():
            if type(module) is lora.Linear:
                quantised = isinstance(module.base_layer, QuantisedLinear)
                module.__class__ = QuantisedApartLinear if quantised else ApartLinear
            if isinstance(module, ApartLinear):
                module.join()
        if task:
            self._model.set_adapter(task)
        else:
            self._model.base_model.set_adapter([])
        return self._model.requires_grad_(False)


class ApartLinear(lora.Linear):
    """A linear layer and its adapters in one matrix product; for prediction, without dropout.

    ``joined`` is (out, in + the ranks of all adapters): W, then every adapter's B times its scale. The base's own
    weight is a view of its first columns, so that W is there once.
    """

    names: tuple[str, ...] = ()
    joined: Tensor

    @torch.no_grad()
    def join(self) -> None:
        """Put W and the adapters that are loaded side by side."""
        if self.names == tuple(self.lora_A):
            return
        self.names = tuple(self.lora_A)
        self._join([self.lora_B[name].weight * self.scaling[name] for name in self.names])

    def _join(self, highs: list[Tensor]) -> None:
        """``highs``: per adapter (out, rank)."""
        weight = self.base_layer.weight
        self.joined = torch.cat([weight, *highs], dim=1)
        weight.data = self.joined[:, : weight.shape[1]]

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(..., in) to (..., out)."""
        parts = [x]
        for name in self.names:
            low = self.lora_A[name].weight
            parts.append(linear(x, low) if name in self.active_adapters else x.new_zeros(*x.shape[:-1], len(low)))
        return linear(torch.cat(parts, dim=-1), self.joined, self.base_layer.bias)


class QuantisedApartLinear(ApartLinear):
    """The same over a quantised weight, which is restored and joined at each use."""

    _highs: list[Tensor]

    def _join(self, highs: list[Tensor]) -> None:
        self._highs = highs

    @property
    def joined(self) -> Tensor:  # type: ignore[override]
        return torch.cat([self.base_layer.weight, *self._highs], dim=1)
