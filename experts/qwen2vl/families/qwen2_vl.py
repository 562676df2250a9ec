"""Qwen2-VL (https://arxiv.org/abs/2409.12191): full attention within a picture; 2B ties its head to its embedding."""

from experts.qwen2vl.families.family import Family

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
SYSTEM = "You are a helpful assistant."

QWEN2_VL = Family("qwen2_vl", "Qwen2-VL (2B, 7B)", patch=14, mean=CLIP_MEAN, std=CLIP_STD, system=SYSTEM)
