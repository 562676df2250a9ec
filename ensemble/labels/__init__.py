"""Labels of one's own: from a list of names to a taxonomy and a configuration; drafts of examples."""
