"""Rotary positions; what attends to what is tested with the packed rows."""

import pytest
import torch

from experts.qwen2vl.model.attention import apply_rotary

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=(pytest.mark.gpu, needs_gpu))])
def test_a_head_is_rotated_by_its_positions_angles(device: str) -> None:
    """Pairs (1, 3) and (2, 4) by 90 degrees and by none; a second head by the same angles."""
    states = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]], device=device)
    cos = torch.tensor([[[0.0, 1.0, 0.0, 1.0]]], device=device)
    sin = torch.tensor([[[1.0, 0.0, 1.0, 0.0]]], device=device)
    assert apply_rotary(states, cos, sin).tolist() == [[[-3.0, 2.0, 1.0, 4.0], [-7.0, 6.0, 5.0, 8.0]]]
