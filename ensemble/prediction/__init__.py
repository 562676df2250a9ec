"""Answering a data file: the workload on disk, workers, the journal, the submission."""
