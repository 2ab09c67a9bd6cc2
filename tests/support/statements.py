"""SQL statements of tests."""

from leadflood.engine.db.sql import Query


def sql(text: str, *parameters: str) -> Query:
    """Return a statement of a test, its parameters in the order of `$1, $2, …`."""
    return Query("test", text, parameters)
