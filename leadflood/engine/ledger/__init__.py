"""Money, answers and allowances of outside calls; a lead is only an opaque subject here."""
