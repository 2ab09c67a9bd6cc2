"""Rights on fields: what a field, or some of its values, needs beside the permission of its route.

    sends: Annotated[SendsPolicy, needs(Permission.MESSAGES_SEND, "go")] = SendsPolicy.HOLD

They are declared beside the field: the edge refuses by them, OpenAPI shows them as `x-right`, and
the access matrix prints them. In an answer a field that the reader has no right to is left out.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from typing_extensions import override

from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind
from leadflood.domain.auth.schemas.roles import PERMISSIONS, Permission, Role

EXTRA = "right"
"""The name under which msgspec keeps the right of a field."""


class FieldRight:
    """The right to a field; `text` says it in words."""

    text: str

    def allows(self, value: Any, principal: Principal, within: Any = None) -> bool:
        """Whether a principal may give this value, or be shown it; `within` is its struct."""
        raise NotImplementedError

    @property
    def hides(self) -> bool:
        """Whether the field is left out of an answer for who has no right to it."""
        return False

    @property
    def schema(self) -> dict[str, Any]:
        """The right as OpenAPI shows it."""
        return {"text": self.text}


class PermissionRight(FieldRight):
    """Needs a permission: for the values named, or (none are named) for any but null."""

    def __init__(self, permission: Permission, values: tuple[str, ...]) -> None:
        self.permission = permission
        self.values = values
        self.text = f"{' or '.join(values)} needs {permission}" if values else f"needs {permission}"

    @override
    def allows(self, value: Any, principal: Principal, within: Any = None) -> bool:
        if self.permission in principal.permissions or value is None or value is msgspec.UNSET:
            return True
        return bool(self.values) and _text_of(value) not in self.values

    @property
    @override
    def schema(self) -> dict[str, Any]:
        values = {"values": list(self.values)} if self.values else {}
        return {**super().schema, "permission": self.permission.value, **values}

    @property
    @override
    def hides(self) -> bool:
        return type(self) is PermissionRight and not self.values


class ConditionalRight(PermissionRight):
    """Needs a permission where a condition holds of its struct, which `text` says."""

    def __init__(self, permission: Permission, applies: Callable[[Any], bool], text: str) -> None:
        super().__init__(permission, ())
        self.text = f"{text} needs {permission}"
        self._applies = applies

    @override
    def allows(self, value: Any, principal: Principal, within: Any = None) -> bool:
        return super().allows(value, principal) or not self._applies(within)


class LoweredRight(PermissionRight):
    """Is lowered to a setting without a permission, where the run is opened; never refused."""

    def __init__(self, permission: Permission, setting: str) -> None:
        super().__init__(permission, ())
        self.text = f"without {permission} it is lowered to {setting}"

    @override
    def allows(self, value: Any, principal: Principal, within: Any = None) -> bool:
        return True


class CeilingRight(FieldRight):
    """Has a highest value for each role; a role that is not named may ask for any."""

    def __init__(self, ceilings: Mapping[Role, int]) -> None:
        self.ceilings = MappingProxyType(dict(ceilings))
        listed = ", ".join(f"{most:,} for {role.value}" for role, most in ceilings.items())
        self.text = f"at most {listed}"

    @override
    def allows(self, value: Any, principal: Principal, within: Any = None) -> bool:
        most = self.ceilings.get(principal.role) if principal.role else None
        return most is None or int(value) <= most

    @property
    @override
    def schema(self) -> dict[str, Any]:
        return {**super().schema, "atMost": {role.value: n for role, n in self.ceilings.items()}}


class GrantRight(FieldRight):
    """Is a role to be given; see `may_govern`."""

    text = "needs all that the role allows; ADMIN no API key may give"

    @override
    def allows(self, value: Any, principal: Principal, within: Any = None) -> bool:
        return value is None or may_govern(principal, value)


class PersonRight(FieldRight):
    """Is refused to API keys where it is set."""

    text = "true is refused to API keys: log in as a person"

    @override
    def allows(self, value: Any, principal: Principal, within: Any = None) -> bool:
        return not value or principal.kind is not PrincipalKind.KEY


def may_govern(principal: Principal, role: Role) -> bool:
    """Whether a principal may give a role, or change whoever has it.

    Nobody grants more than they hold; an administrator's account is out of reach of API keys.
    """
    is_key = principal.kind is PrincipalKind.KEY
    return PERMISSIONS[role] <= principal.permissions and not (is_key and role is Role.ADMIN)


def needs(permission: Permission, *values: str) -> msgspec.Meta:
    """Declare that a field, or these values of it, need a permission."""
    return declare(PermissionRight(permission, values))


def needs_where(permission: Permission, applies: Callable[[Any], bool], text: str) -> msgspec.Meta:
    """Declare that a field needs a permission where a condition holds of its struct."""
    return declare(ConditionalRight(permission, applies, text))


def lowered(permission: Permission, setting: str) -> msgspec.Meta:
    """Declare that a cap is lowered to a setting without a permission."""
    return declare(LoweredRight(permission, setting))


def at_most(ceilings: Mapping[Role, int]) -> msgspec.Meta:
    """Declare the highest number that each role may ask for."""
    return declare(CeilingRight(ceilings))


def declare(right: FieldRight) -> msgspec.Meta:
    """Declare a right of a field."""
    return msgspec.Meta(extra_json_schema={"x-right": right.schema}, extra={EXTRA: right})


def _text_of(value: Any) -> str:
    return msgspec.to_builtins(value) if isinstance(value, str) else str(value).lower()
