"""The families of bases, one file each: what differs between them beyond what their ``config.json`` says.

Common to all of them, and so in no file: the chat frame's special tokens, M-RoPE positions of still pictures, the
names of the language model's layers, smart resizing to whole cells of 2 x 2 patches.
"""

from experts.qwen2vl.families.family import Family
from experts.qwen2vl.families.qwen2_5_vl import QWEN2_5_VL
from experts.qwen2vl.families.qwen2_vl import QWEN2_VL
from experts.qwen2vl.families.qwen3_vl import QWEN3_VL

FAMILIES: dict[str, Family] = {family.model_type: family for family in (QWEN2_VL, QWEN2_5_VL, QWEN3_VL)}
"""By the ``model_type`` of a checkpoint's ``config.json``."""

__all__ = ["FAMILIES", "Family"]
