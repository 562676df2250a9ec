"""The checks of ``mire doctor``: the machine, its packages, weights, a panel, the cost of a training."""
