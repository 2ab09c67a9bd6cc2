"""`leadflood doctor`: what is checked, and the fix for each fault."""
