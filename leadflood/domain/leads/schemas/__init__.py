"""Structs of leads: what enters, lives and is read."""
