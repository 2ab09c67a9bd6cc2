"""One capability a file: what a provider may be able to do."""
