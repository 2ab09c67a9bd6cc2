"""Who the customer is: versioned profiles and their rules."""
