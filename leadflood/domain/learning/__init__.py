"""Labels: the outcomes of leads, which models learn from."""
