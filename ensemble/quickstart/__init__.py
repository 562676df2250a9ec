"""The quickstart: train, predict and report on the shipped samples, one command after the other."""
