"""A voter of both tasks: the labels of the training samples whose hidden states in ``qwen2vl`` are most alike."""
