"""Duplicates: leads that may be one person, for somebody to decide."""
