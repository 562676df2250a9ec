"""From samples to tensors: prompts, pictures, the label trie, packed rows."""
