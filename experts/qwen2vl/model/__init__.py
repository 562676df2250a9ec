"""What is changed in, or added to, transformers' Qwen2-VL."""
