"""An average of the adapter's weights over the steps of its training, which takes their place at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import TrainerCallback

from mire.settings import Training

_FILE = "average.safetensors"


class WeightAverage(TrainerCallback):  # type: ignore[misc]
    """Averages the weights that are learned: with decay ``ema``, or all alike from ``average_from`` of the steps on.

    The factors A and B of an adapter are averaged one by one. That is not the average of their products, to which it
    comes close along one training. The frozen base is not copied.
    """

    def __init__(self, learned: Sequence[torch.nn.Parameter], options: Training) -> None:
        self._learned = torch.nn.ParameterList(learned)
        decay = get_ema_multi_avg_fn(options.ema) if options.ema else None  # type: ignore[no-untyped-call]
        self._average = AveragedModel(self._learned, multi_avg_fn=decay)
        self._first = 0.0 if options.ema else options.average_from

    def on_step_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
        """The trainer has changed the weights."""
        if state.global_step > self._first * state.max_steps:
            self._average.update_parameters(self._learned)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the average in the weights' place."""
        for learned, average in zip(self._learned, self._average.parameters(), strict=True):
            learned.copy_(average)

    def save(self, checkpoint: Path) -> None:
        """Write the average into a checkpoint, from which ``load`` goes on."""
        save_file(self._average.state_dict(), checkpoint / _FILE)

    def load(self, checkpoint: Path) -> None:
        """Go on from a checkpoint."""
        self._average.load_state_dict(load_file(checkpoint / _FILE))
