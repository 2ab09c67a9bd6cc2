"""Logs, metrics, health, the event feed."""
