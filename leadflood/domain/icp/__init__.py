"""Ideal customer profiles: versioned, each with its rules."""
