"""Pure rules of lead views."""
