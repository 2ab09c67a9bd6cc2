"""One deed for many leads: fixed when it starts, done in chunks, undone exactly."""
