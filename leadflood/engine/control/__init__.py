"""What operators see of a running node, and what they change of it."""
