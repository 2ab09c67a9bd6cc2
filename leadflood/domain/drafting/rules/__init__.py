"""Facts, templates and checks of drafts. Pure."""
