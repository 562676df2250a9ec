"""One adapter at a time added to the base's own weights: a forward pass then costs what the base costs."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from mire.errors import PanelError
from mire.labels import Task


class MergedModel:
    """A PEFT model whose weights hold one task's adapter, ``W + scale * B @ A``, rounded once.

    The pristine weights of the adapted layers are kept on the CPU (13 GB for the language model of a 7B in
    bfloat16) and every merge starts from them, so that changing tasks leaves no trace: subtracting an adapter
    again would not give the old weights back.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._pristine: dict[str, Tensor] = {}
        self._task: Task | None = None

    def use(self, task: Task) -> Any:
        """The model with the adapter of ``task`` in its weights.

        Raises:
            PanelError: the adapter is not loaded.
        """
        if task not in self._model.peft_config:
            raise PanelError(f"the {task} adapter is not loaded")
        if task != self._task:
            for name, layer in self._layers():
                self._merge(name, layer, task)
            self._task = task
        self._model.base_model.disable_adapter_layers()
        return self._model

    def _merge(self, name: str, layer: Any, task: Task) -> None:
        weight = layer.get_base_layer().weight
        if name not in self._pristine:
            self._pristine[name] = weight.detach().to("cpu", copy=True)
        merged = self._pristine[name].to(weight.device).float()
        if task in layer.lora_A:
            # Not in place: on a CPU in float32 this is the pristine tensor itself.
            merged = merged + layer.get_delta_weight(task).float()
        weight.data.copy_(merged)

    def _layers(self) -> Iterator[tuple[str, Any]]:
        from peft.tuners.lora import LoraLayer

        return ((name, layer) for name, layer in self._model.named_modules() if isinstance(layer, LoraLayer))
