"""The panel: route, vote, fit, predict, ablate, score, report."""
