"""Qwen2-VL with one LoRA adapter per task on a shared base; every label is scored in one forward pass."""
