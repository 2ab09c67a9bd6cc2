"""Generic machinery: actors, queue, database, outside calls, ledger. It does not know what a lead is."""
