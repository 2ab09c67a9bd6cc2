"""One folder per business capability."""
