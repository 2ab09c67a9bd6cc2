"""Rules of leads, pure: identity, provenance, edits, what is written and what is listed."""
