"""``nano``: a Qwen2-VL of a few million parameters; it ships pre-trained in ``base/``."""

from experts.qwen2vl.nano.build import build_nano, nano_folder

__all__ = ["build_nano", "nano_folder"]
