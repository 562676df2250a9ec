"""One log line per epoch of a training."""

import logging
import time
from typing import Any

from transformers import TrainerCallback

logger = logging.getLogger(__name__)


class EpochLog(TrainerCallback):  # type: ignore[misc]
    """Logs ``title``, the epoch, its mean loss, the F1 on the held-out fold if there is one, and its seconds."""

    def __init__(self, title: str, *, evaluated: bool) -> None:
        self._title, self._evaluated = title, evaluated
        self._started, self._loss = 0.0, float("nan")

    def on_epoch_begin(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
        """The clock starts."""
        self._started = time.monotonic()

    def on_log(self, arguments: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        """The trainer logs the loss at an epoch's end, and then the figures on the fold that was left out."""
        self._loss = logs.get("loss", self._loss)
        if state.is_world_process_zero and ("eval_f1" if self._evaluated else "loss") in logs:
            score = f", F1 {logs['eval_f1']:.3f}" if self._evaluated else ""
            logger.info(
                f"{self._title}: epoch {round(state.epoch)} of {state.num_train_epochs}, loss {self._loss:.3f}{score}, "
                f"{time.monotonic() - self._started:.0f} s"
            )
