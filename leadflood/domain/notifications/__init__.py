"""Notifications: written once, read by whom they concern."""
