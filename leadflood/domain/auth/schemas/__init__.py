"""Structs of identity and access."""
