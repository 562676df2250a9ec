"""Training one LoRA adapter with transformers' Trainer."""
