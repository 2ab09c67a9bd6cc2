"""Users as an administrator keeps them, and the settings of the team."""

import msgspec

from leadflood.domain.auth.schemas.links import OneTimeLink
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import SalesRepSees, UserState, UserView


class UserFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of users; None is no condition. `text` occurs in address or name."""

    role: Role | None = None
    state: UserState | None = None
    text: str | None = None


class UserChange(msgspec.Struct, frozen=True, kw_only=True):
    """An administrator's change of a user; None leaves it as it is."""

    name: str | None = None
    role: Role | None = None
    state: UserState | None = None


class UserUpdate(msgspec.Struct, frozen=True):
    """A user before and after a change."""

    before: UserView
    after: UserView


class IssuedLink(msgspec.Struct, frozen=True):
    """A one-time link, and the user it is for."""

    user: UserView
    link: OneTimeLink


class Team(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The settings of the whole team."""

    version: int
    sales_rep_sees: SalesRepSees
