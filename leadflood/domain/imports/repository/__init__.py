"""Imports and their rows in the database."""
