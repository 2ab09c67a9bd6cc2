"""The shared kernel: leads, companies, identity, provenance."""
