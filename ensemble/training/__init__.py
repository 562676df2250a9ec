"""Training a panel: folds, voters, adapters, model cards."""
