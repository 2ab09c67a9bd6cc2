"""Suppressions: whom nothing is sent to, opt-ins, and the way out in every message."""
