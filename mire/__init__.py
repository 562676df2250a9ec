"""The vocabulary that every part of MIRE shares: samples, labels, prompts, images, budgets, metrics, settings."""

__version__ = "0.1.0"
