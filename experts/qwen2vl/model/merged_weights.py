"""Merge one adapter at a time into the base's weights, so that a forward pass costs no more than the base's."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from mire.labels import Task


class MergedModel:
    """A PEFT model whose weights hold one task's adapter, ``W + scale * B @ A``, rounded once.

    The original weights of the adapted layers are kept on the CPU (13 GB for the language model of a 7B in
    bfloat16), and every merge starts from them. Subtracting an adapter would not restore them exactly, because
    each addition rounds.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._original: dict[str, Tensor] = {}
        self._task: Task | None = None

    def use(self, task: Task | None) -> Any:
        """The model with the adapter of ``task`` merged into its weights; None: with the base's own weights."""
        if task != self._task:
            for name, layer in self._layers():
                self._merge(name, layer, task)
            self._task = task
        self._model.base_model.disable_adapter_layers()
        return self._model

    def _merge(self, name: str, layer: Any, task: Task | None) -> None:
        weight = layer.get_base_layer().weight
        if name not in self._original:
            self._original[name] = weight.detach().to("cpu", copy=True)
        merged = self._original[name].to(weight.device).float()
        if task in layer.lora_A:
            # Not in place: on a CPU in float32 this is the original tensor itself.
            merged = merged + layer.get_delta_weight(task).float()
        weight.data.copy_(merged)

    def _layers(self) -> Iterator[tuple[str, Any]]:
        from peft.tuners.lora import LoraLayer

        return ((name, layer) for name, layer in self._model.named_modules() if isinstance(layer, LoraLayer))
