"""The use cases of signing in, and of one's own account."""
