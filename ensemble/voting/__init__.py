"""The vote: rules that pool votes, out-of-fold votes, and the weights that are fitted on them."""
