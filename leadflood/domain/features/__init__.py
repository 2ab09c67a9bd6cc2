"""Numbers and flags computed from a lead, for scoring."""
