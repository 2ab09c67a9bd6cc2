"""Messages: the life of a draft, from its facts to its approval."""
