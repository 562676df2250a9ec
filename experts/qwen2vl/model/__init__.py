"""Changes and additions to transformers' Qwen2-VL."""
