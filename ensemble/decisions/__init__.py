"""From answers to decisions: from which probability on an answer needs no person."""
