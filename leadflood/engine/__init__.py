"""Generic machinery: actors, queue, database, outside calls, ledger. It knows no lead."""
