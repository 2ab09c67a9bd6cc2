"""Labels: what came of leads, which models will learn from."""
