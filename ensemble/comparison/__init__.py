"""Comparing systems on the same samples: their answers, paired statistics, tables and figures, sweeps of settings."""
