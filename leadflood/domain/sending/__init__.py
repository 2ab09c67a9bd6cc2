"""Sending: the outbox, where an approved message is sent once."""
