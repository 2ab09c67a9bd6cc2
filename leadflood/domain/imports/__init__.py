"""Imports: CSV files become leads, row by row, and can be undone."""
