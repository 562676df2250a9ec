"""Judging a panel on labelled samples: votes that hold, subsets of voters, rules, calibration, doubted labels."""
