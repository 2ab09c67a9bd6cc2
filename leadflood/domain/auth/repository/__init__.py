"""Accounts, sessions, keys and links in the database."""
