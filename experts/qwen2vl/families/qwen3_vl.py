"""Qwen3-VL (https://arxiv.org/abs/2511.21631): larger patches, a chat without a system message, another rotary order.

- Deepstack: features of some of the tower's blocks are added after the language model's first layers, at the pictures'
  tokens. The shortcut of the last layer, which gives some positions only, is left out of a model so shallow that its
  last layer is among these.
- M-RoPE's axes are interleaved, queries and keys are normalised per head: the rotary tables come from transformers,
  and the last layer's shortcut applies the norms.
"""

from experts.qwen2vl.families.family import Family

HALF = (0.5, 0.5, 0.5)

QWEN3_VL = Family("qwen3_vl", "Qwen3-VL (2B, 4B, 8B)", patch=16, mean=HALF, std=HALF, system=None)
