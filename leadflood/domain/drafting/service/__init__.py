"""The use cases of drafting and of templates."""
