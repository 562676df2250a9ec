"""The patch embedding as the matrix product that it is: as a convolution it is slow, on GPUs above all."""

from typing import Any

import torch
from torch import Tensor


class PatchProjection(torch.nn.Conv3d):
    """A convolution whose stride is its kernel, over inputs of exactly one kernel: (n, channels, *kernel)."""

    def forward(self, patches: Tensor) -> Tensor:
        """(n, channels, frames, rows, columns) to (n, out channels, 1, 1, 1)."""
        embedded = torch.nn.functional.linear(patches.flatten(1), self.weight.flatten(1), self.bias)
        return embedded[:, :, None, None, None]


def project_patches_by_matrix(model: Any) -> None:
    """Let a Qwen2-VL's patch embedding run as a matrix product; its weights stay where they are."""
    model.model.visual.patch_embed.proj.__class__ = PatchProjection
