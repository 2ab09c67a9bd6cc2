"""Leads in the database: rows, keys, values and what lists show; all set-based."""
