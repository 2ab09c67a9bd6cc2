"""Queries of lead views."""
