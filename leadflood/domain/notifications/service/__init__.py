"""The service of notifications."""
