"""The voters: each reads a sample and gives every live label a probability."""
