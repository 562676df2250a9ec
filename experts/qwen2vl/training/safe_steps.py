"""Steps that end a training before it spoils the adapter, and that do no work that nobody reads."""

from typing import Any

import torch
from transformers import TrainerCallback

from mire.errors import PanelError


class SafeSteps(TrainerCallback):  # type: ignore[misc]
    """Stops at gradients that are no finite numbers, and spares the frozen vision tower its backward pass."""

    def on_train_begin(self, arguments: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        """Remove the hooks by which transformers lets gradients flow from the inputs.

        Reentrant checkpointing needs them, ours is not reentrant. They hook the tower's patches too, so that the whole
        tower is run backwards for gradients that nothing uses: a fifth of a 7B's operations.
        """
        for module in model.modules():
            if hasattr(module, "disable_input_require_grads"):
                module.disable_input_require_grads()

    def on_pre_optimizer_step(self, arguments: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        """Check the gradients, which clipping has spread everywhere if one of them was not finite.

        Raises:
            PanelError: the step, and what to change.
        """
        if arguments.fp16:
            return  # there the trainer skips such a step, and scales the loss down
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        if not bool(torch.nn.utils.get_total_norm(gradients).isfinite()):
            raise PanelError(
                f"training stopped at step {state.global_step + 1}: its gradients are no finite numbers; the last "
                "epoch's checkpoint is kept; lower qwen2vl's learning_rate, or set qwen2vl.dtype=float32"
            )
