"""Calls to the outside: the one path, with breaker, limits, money, deadline and ledger."""
