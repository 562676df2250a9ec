"""Qwen2-VL with one LoRA adapter a task on a shared base; every label is scored in one forward pass."""
