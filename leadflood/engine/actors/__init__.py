"""Actors and their supervisors: everything that runs."""
