"""Addresses as keyed hashes. Pure."""
