"""Use cases of leads: create, upsert, look at, edit, merge."""
