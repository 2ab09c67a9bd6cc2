"""Bulk actions: one action on many leads, fixed when it starts, done in chunks, undoable."""
