"""Drafting: texts from proven facts, by a writer or a template."""
