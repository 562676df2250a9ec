"""Judging a panel on labelled samples: held-out votes, subsets of voters, rules, calibration, doubted labels."""
