"""Audit trail: the record of privileged acts."""
