"""Normalization: two spellings of one thing become equal, what is not one becomes None."""
