"""Queries live in `queries.sql` beside their store; this reads them with aiosql.

Source: aiosql's file form, `-- name: claim_due`, one line saying why, SQL with `:named` parameters.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import aiosql
import msgspec

# its guesses at what a statement returns are of no use here: the caller says fetch or execute
logging.getLogger("aiosql").setLevel(logging.ERROR)


class Query(msgspec.Struct, frozen=True):
    """One statement, its parameters in the order of `$1, $2, …`."""

    name: str
    text: str
    parameters: tuple[str, ...]

    def arrange(self, values: dict[str, object]) -> tuple[object, ...]:
        """Put named values in the statement's order.

        Raises: TypeError on a missing or unknown name.
        """
        if len(values) != len(self.parameters):
            self._refuse(values)
        try:
            return tuple([values[name] for name in self.parameters])
        except KeyError:
            self._refuse(values)
            raise

    def _refuse(self, values: dict[str, object]) -> None:
        missing = sorted(set(self.parameters) - set(values))
        unknown = sorted(set(values) - set(self.parameters))
        if missing or unknown:
            raise TypeError(f"query {self.name}: missing {missing}, unknown {unknown}")


class Queries:
    """The queries of one file, as attributes: `SQL.claim_due`."""

    def __init__(self, path: Path) -> None:
        loaded = aiosql.from_path(path, "asyncpg", mandatory_parameters=False)
        orders = loaded.driver_adapter.var_sorted
        self._queries = {
            name: Query(name, getattr(loaded, name).sql, tuple(orders.get(name, ())))
            for name in loaded.available_queries
            if not name.endswith("_cursor")
        }

    def __getattr__(self, name: str) -> Query:
        try:
            return self._queries[name]
        except KeyError:
            raise AttributeError(f"no query named {name}") from None

    def __iter__(self) -> Iterator[Query]:
        return iter(self._queries.values())


def load_queries(beside: str) -> Queries:
    """Load `queries.sql` from the folder of the module whose `__file__` is given."""
    return Queries(Path(beside).with_name("queries.sql"))
