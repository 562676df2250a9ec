"""Qwen2.5-VL (https://arxiv.org/abs/2502.13923): pictures and prompts as Qwen2-VL's, another tower.

- Most of the tower's blocks attend within windows of 8 x 8 patches, which transformers puts side by side; our attention
  takes their bounds as it takes pictures' bounds, and windows of equal size are one call.
- The tower's MLP has a gate, and its norms are RMSNorms: its own classes stay.
- Positions differ for videos only, which no sample has.
"""

from experts.qwen2vl.families.family import Family
from experts.qwen2vl.families.qwen2_vl import CLIP_MEAN, CLIP_STD, SYSTEM

QWEN2_5_VL = Family("qwen2_5_vl", "Qwen2.5-VL (3B, 7B)", patch=14, mean=CLIP_MEAN, std=CLIP_STD, system=SYSTEM)
