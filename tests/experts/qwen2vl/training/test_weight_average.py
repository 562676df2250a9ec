from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mire.settings import Training


def run(average: Any, weight: torch.nn.Parameter, steps: dict[int, float]) -> None:
    """Four steps make a training; after step n the weight is ``steps[n]``."""
    for step, value in steps.items():
        weight.data.fill_(value)
        average.on_step_end(None, SimpleNamespace(global_step=step, max_steps=4), None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # 1, then (1 + 2) / 2, (1.5 + 4) / 2, (2.75 + 8) / 2
        (Training(ema=0.5), 5.375),
        # Steps 3 and 4 are the second half.
        (Training(average_from=0.5), 6.0),
        (Training(average_from=0.8), 8.0),
    ],
)
def test_averages_by_hand_also_from_a_checkpoint(options: Training, expected: float, tmp_path: Path) -> None:
    from experts.qwen2vl.training.weight_average import WeightAverage

    weight = torch.nn.Parameter(torch.zeros(2))
    whole = WeightAverage([weight], options)
    run(whole, weight, {1: 1.0, 2: 2.0, 3: 4.0, 4: 8.0})
    whole.apply()
    assert weight.tolist() == [expected] * 2
    cut = WeightAverage([weight], options)
    run(cut, weight, {1: 1.0, 2: 2.0, 3: 4.0})
    cut.save(tmp_path)
    goes_on = WeightAverage([weight], options)
    goes_on.load(tmp_path)
    run(goes_on, weight, {4: 8.0})
    goes_on.apply()
    assert weight.tolist() == [expected] * 2
