"""Leads for other slices: the shared kernel of identity, values and provenance."""
