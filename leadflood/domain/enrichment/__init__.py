"""Learning more of a lead by a waterfall of providers."""
