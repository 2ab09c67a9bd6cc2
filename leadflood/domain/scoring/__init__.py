"""A score that is a sum the reader can check."""
