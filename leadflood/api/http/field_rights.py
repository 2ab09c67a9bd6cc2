"""Field rights at the edge: found in the structs of a route, and held against who asks."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from leadflood.domain.auth.schemas.field_rights import EXTRA, FieldRight
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.engine.errors import Denied


class GuardedField(msgspec.Struct, frozen=True, kw_only=True):
    """A field that has a right: where it stands, by its names in Python and on the wire."""

    path: tuple[str, ...]
    name: str
    right: FieldRight


def list_guarded_fields(kind: Any) -> tuple[GuardedField, ...]:
    """List the fields of a struct, and of those within it, that have a right."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return ()
    return tuple(_walk(msgspec.inspect.type_info(kind), (), "", frozenset()))


def require_field_rights(fields: Sequence[GuardedField], value: Any, principal: Principal) -> None:
    """Refuse what the principal may not ask for. Raises: Denied, naming the field."""
    for field in fields:
        for part, within in _parts_at(value, field.path):
            if not field.right.allows(part, principal, within):
                raise Denied(f"{field.name}: {field.right.text}", code="http.field.denied")


def hidden_names(fields: Sequence[GuardedField], principal: Principal) -> frozenset[str]:
    """Return the names on the wire of an answer's own fields that are not shown."""
    return frozenset(
        field.name
        for field in fields
        if len(field.path) == 1 and not field.right.allows(..., principal)
    )


def _walk(
    info: msgspec.inspect.Type, path: tuple[str, ...], name: str, seen: frozenset[type]
) -> Iterator[GuardedField]:
    match info:
        case msgspec.inspect.Metadata(type=inner, extra=extra):
            right = (extra or {}).get(EXTRA)
            if right is not None:
                yield GuardedField(path=path, name=name, right=right)
            yield from _walk(inner, path, name, seen)
        case msgspec.inspect.UnionType(types=types):
            for member in types:
                yield from _walk(member, path, name, seen)
        case (
            msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item)
        ):
            yield from _walk(item, path, f"{name}[]", seen)
        case msgspec.inspect.StructType(cls=cls, fields=fields) if cls not in seen:
            for field in fields:
                inner_name = f"{name}.{field.encode_name}".lstrip(".")
                yield from _walk(field.type, (*path, field.name), inner_name, seen | {cls})
        case _:
            return


def _parts_at(value: Any, path: tuple[str, ...], within: Any = None) -> Iterator[tuple[Any, Any]]:
    """Go down a path of fields, to each value at its end with the struct that holds it."""
    if isinstance(value, list | tuple) and path:
        for item in value:
            yield from _parts_at(item, path)
    elif not path:
        yield value, within
    elif isinstance(value, msgspec.Struct) and hasattr(value, path[0]):
        yield from _parts_at(getattr(value, path[0]), path[1:], value)
