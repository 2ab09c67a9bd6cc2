"""`leadflood run`: read a CSV, import it, work on it, write the scored CSV."""
