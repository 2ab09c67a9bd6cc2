"""The rules of features."""
