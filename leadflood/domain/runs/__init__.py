"""Runs: opened with their budget, watched, cancelled, and counted from end to end."""
