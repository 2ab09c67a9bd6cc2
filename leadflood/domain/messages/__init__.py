"""Drafts from facts, approval, and sending once."""
