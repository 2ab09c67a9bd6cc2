"""Maintenance of a node: loops that wake timers, rescue claims, end runs and prune."""
