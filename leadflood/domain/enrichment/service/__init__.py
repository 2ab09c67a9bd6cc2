"""The service of enrichment."""
