"""Queries live in `queries.sql` beside their store; this reads them with aiosql.

Text that several queries of a file share stands once, as `-- fragment: lead_filter` with one line
saying why and its SQL; a query takes it in where it says `{lead_filter}`. Fragments are resolved
when the file is loaded, so every statement is still one fixed text. A fragment uses no other.

Source: aiosql's file form, `-- name: claim_due`, one line saying why, SQL with `:named` parameters.
"""

import logging
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import aiosql
import msgspec

# its guesses at what a statement returns are of no use here: the caller says fetch or execute
logging.getLogger("aiosql").setLevel(logging.ERROR)

_BLOCKS = re.compile(r"^(?=-- (?:name|fragment): )", re.MULTILINE)
_FRAGMENT = re.compile(r"-- fragment: (\w+)\n(?:--[^\n]*\n)*(.*)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


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
        text = resolve_fragments(path.read_text("utf-8"), path)
        loaded = aiosql.from_str(text, "asyncpg", mandatory_parameters=False)
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
    """Load `queries.sql` from the folder of the module whose `__file__` is given.

    The modules of a folder share what is loaded.
    """
    return _load(Path(beside).with_name("queries.sql"))


@cache
def _load(path: Path) -> Queries:
    return Queries(path)


def resolve_fragments(text: str, path: Path) -> str:
    """Return a file's queries with the text of its fragments in place of their names.

    Raises: ValueError, naming the file, on a fragment that is unknown, unused, defined twice or
    made of another.
    """
    fragments: dict[str, str] = {}
    queries: list[str] = []
    for block in _BLOCKS.split(text):
        if not (match := _FRAGMENT.match(block)):
            queries.append(block)
            continue
        name, body = match.groups()
        if name in fragments:
            raise ValueError(f"{path}: fragment {name} is defined twice")
        if nested := _PLACEHOLDER.search(body):
            raise ValueError(f"{path}: fragment {name} uses {nested[0]}: a fragment uses no other")
        fragments[name] = body.strip()
    return _fill_in("".join(queries), fragments, path)


def _fill_in(queries: str, fragments: dict[str, str], path: Path) -> str:
    used = set(_PLACEHOLDER.findall(queries))
    if unknown := sorted(used - fragments.keys()):
        raise ValueError(f"{path}: no fragment is named {', '.join(unknown)}")
    if unused := sorted(fragments.keys() - used):
        raise ValueError(f"{path}: no query uses the fragment {', '.join(unused)}")
    return _PLACEHOLDER.sub(lambda placeholder: fragments[placeholder[1]], queries)
