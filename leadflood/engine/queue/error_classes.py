"""Error classes: whether the database's own state, a lock or the job is at fault."""

from leadflood.engine.db.tx import TIMEOUTS, sqlstate_of

POISON_CLASSES = ("21", "22", "23", "44", "54", "P0")
"""Cardinality, data, constraints, views' checks, limits, what triggers raise: a row is at fault."""

FOREIGN_KEY_VIOLATION = "23503"


def is_environment(error: BaseException) -> bool:
    """Whether the database, not a job, is at fault: connections, deadlocks, disk, shutdown.

    A TimeoutError of a transaction is one too: the pool had no free connection.
    """
    if isinstance(error, TimeoutError):
        return True
    state = sqlstate_of(error)
    return state is not None and state[:2] not in POISON_CLASSES and state not in TIMEOUTS


def is_temporary(error: BaseException) -> bool:
    """Whether the same transaction may well work later: no attempt is spent for it."""
    return is_environment(error) or sqlstate_of(error) in TIMEOUTS


def is_database_away(error: BaseException) -> bool:
    """Whether an error that may come from anywhere is the database's, and temporary.

    Sockets to the outside time out and are cut too; those are not meant.
    """
    state = sqlstate_of(error)
    return state is not None and not isinstance(error, OSError) and is_temporary(error)
