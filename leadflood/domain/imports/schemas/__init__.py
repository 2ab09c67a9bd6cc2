"""Imports: events, mappings, rows, and what is shown."""
