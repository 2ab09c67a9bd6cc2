"""Answer rights: what of an answer is left out where its reader has no right to it.

A change answers with the thing as it is since. Whoever may change it and not look at it is shown
no more than its ids and its version: a GET says what looking at that kind of thing needs.
"""

import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from leadflood.api.http.field_rights import GuardedField
from leadflood.api.http.responses import PartialResponse
from leadflood.api.http.routing import Route, Signature
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.auth.schemas.roles import Permission

SHOWN_TO_ALL = ("id", "profile_id", "version")
"""The fields of a change's answer that whoever may change it is shown."""
_WRITES_AND_READS = frozenset({Permission.SELF, Permission.ADMIN_WRITE})
"""Permissions of changes that show what they did, to operators above all."""


def find_readers(routes: Iterable[Route]) -> Mapping[str, Permission]:
    """Return the permission that the answer of each change needs besides, by the route's name."""
    answers = [(route, _kind_of(Signature.of(route))) for route in routes if route.permission]
    read = [(kind, route.permission) for route, kind in answers if route.method == "GET" and kind]
    readers: dict[str, Permission] = {}
    for route, kind in answers:
        if route.method == "GET" or kind is None or route.permission in _WRITES_AND_READS:
            continue
        permissions = {permission for shown, permission in read if _are_kin(kind, shown)}
        if permissions and route.permission not in permissions:
            readers[route.name] = Permission(min(permissions))
    return readers


def _kind_of(signature: Signature) -> type | None:
    """Return the struct that an answer, or each item of a list, is."""
    kinds = (signature.answer, *typing.get_args(signature.answer))
    structs = [kind for kind in kinds if isinstance(kind, type) and _is_struct(kind)]
    return structs[-1] if structs else None


def _is_struct(kind: type) -> bool:
    return issubclass(kind, msgspec.Struct)


def _are_kin(kind: type, shown: type) -> bool:
    return issubclass(kind, shown) or issubclass(shown, kind)


class AnswerRights:
    """The rights in the answer of one route. `reader`: what a change's answer needs besides."""

    def __init__(self, fields: Sequence[GuardedField], reader: Permission | None) -> None:
        self._fields = tuple(fields)
        self._reader = reader

    def cut(self, answer: Any, principal: Principal) -> Any:
        """Return the answer without what the principal may not be shown."""
        if self._reader is not None and self._reader not in principal.permissions:
            return _only_ids(answer)
        hidden = [field for field in self._fields if not field.right.allows(..., principal)]
        return _without(answer, [field.name for field in hidden]) if hidden else answer


def _only_ids(answer: Any) -> Any:
    if not isinstance(answer, msgspec.Struct):
        return answer
    fields = [field for field in msgspec.structs.fields(answer) if field.name in SHOWN_TO_ALL]
    shown = {field.encode_name: getattr(answer, field.name) for field in fields}
    return PartialResponse(answer, shown)


def _without(answer: Any, names: Iterable[str]) -> Any:
    """Leave fields out, named by their paths on the wire."""
    whole, shown = answer, answer
    if isinstance(answer, PartialResponse):
        whole, shown = answer.resource, answer.fields
    builtins = msgspec.json.decode(msgspec.json.encode(shown))
    for name in names:
        _remove(builtins, name.replace("[]", "").split("."))
    return PartialResponse(whole, builtins)


def _remove(value: Any, path: Sequence[str]) -> None:
    if isinstance(value, list):
        for item in value:
            _remove(item, path)
    elif isinstance(value, dict) and len(path) == 1:
        value.pop(path[0], None)
    elif isinstance(value, dict):
        _remove(value.get(path[0]), path[1:])
