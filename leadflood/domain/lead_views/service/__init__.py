"""Use cases of lead views."""
