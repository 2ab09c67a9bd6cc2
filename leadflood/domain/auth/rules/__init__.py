"""Formats and cryptography of credentials. Pure."""
