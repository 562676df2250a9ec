"""What ``python -m mire.doctor`` checks: the machine, its packages, weights, a panel, the cost of a training."""
