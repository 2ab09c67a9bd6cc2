"""Field rights at the edge: found in the structs of a route, and held against who asks."""

import typing
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from leadflood.domain.auth.schemas.field_rights import EXTRA, FieldRight
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.engine.errors import Denied


class GuardedField(msgspec.Struct, frozen=True, kw_only=True):
    """A field that has a right: where it stands, by its names in Python and on the wire.

    `holder`: the struct whose field it is.
    """

    path: tuple[str, ...]
    name: str
    holder: type
    right: FieldRight


def list_guarded_fields(kind: Any) -> tuple[GuardedField, ...]:
    """List the fields of a struct, and of those within it, that have a right."""
    if not _holds_fields(kind):
        return ()
    return tuple(_walk(msgspec.inspect.type_info(kind), (), "", (kind,)))


def list_hidden_fields(kind: Any) -> tuple[GuardedField, ...]:
    """List the fields of an answer that are left out for who has no right to them."""
    return tuple(field for field in list_guarded_fields(kind) if field.right.hides)


def require_field_rights(fields: Sequence[GuardedField], value: Any, principal: Principal) -> None:
    """Refuse what the principal may not ask for. Raises: Denied, naming the field."""
    for field in fields:
        for part, within in _parts_at(value, field.path):
            if not field.right.allows(part, principal, within):
                raise Denied(f"{field.name}: {field.right.text}", code="http.field.denied")


def _holds_fields(kind: Any) -> bool:
    """Whether a type is a struct, or a page of them."""
    origin = typing.get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, msgspec.Struct)


def _walk(
    info: msgspec.inspect.Type, path: tuple[str, ...], name: str, holders: tuple[type, ...]
) -> Iterator[GuardedField]:
    match info:
        case msgspec.inspect.Metadata(type=inner, extra=extra):
            right = (extra or {}).get(EXTRA)
            if right is not None:
                yield GuardedField(path=path, name=name, holder=holders[-1], right=right)
            yield from _walk(inner, path, name, holders)
        case msgspec.inspect.UnionType(types=types):
            for member in types:
                yield from _walk(member, path, name, holders)
        case (
            msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item)
        ):
            yield from _walk(item, path, f"{name}[]", holders)
        case msgspec.inspect.StructType(cls=cls, fields=fields) if cls not in holders[1:]:
            for field in fields:
                inner_name = f"{name}.{field.encode_name}".lstrip(".")
                yield from _walk(field.type, (*path, field.name), inner_name, (*holders, cls))
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
