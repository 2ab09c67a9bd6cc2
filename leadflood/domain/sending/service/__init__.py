"""The use cases of the outbox."""
