"""Leadflood: a lead engine in one process."""
