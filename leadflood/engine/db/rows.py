"""Rows: structs made of them, and lists of texts as one column of an `unnest`."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import TypeVar
from uuid import UUID

import msgspec

from leadflood.engine.db.tx import Row
from leadflood.engine.text import make_storable

SEPARATOR = "\x1f"
"""U+001F stands between the texts of a list that travels as one text."""
StructT = TypeVar("StructT", bound=msgspec.Struct)


def to_struct(row: Row, kind: type[StructT]) -> StructT:
    """Return a row as a struct, field by field; columns that are no field are left out."""
    columns = set(row.keys())
    values = {encoded: row[name] for name, encoded in _field_names(kind) if name in columns}
    return msgspec.convert(values, kind, builtin_types=(bytes, datetime, UUID))


def clean(text: str) -> str:
    """Return a text without what Postgres, or a list joined by U+001F, cannot hold."""
    return make_storable(text).replace(SEPARATOR, " ")


def join(texts: Iterable[str]) -> str:
    """Return texts as one, for `string_to_array(…, chr(31))`."""
    return SEPARATOR.join(map(clean, texts))


@cache
def _field_names(kind: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """List a struct's fields by their names in Python and when encoded."""
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(kind))
