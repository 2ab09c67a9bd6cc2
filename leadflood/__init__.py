"""Leadflood: a lead engine in one process."""

__version__ = "0.1.0.dev"
"""The only place that says it: the package, the command line and the API's contract read it."""
