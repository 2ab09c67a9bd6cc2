"""Users as an administrator keeps them, and the settings of the team."""

import msgspec

from leadflood.domain.auth.schemas import Role, SalesRepSees, UserState


class UserFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which people; None asks for all. `text` is looked for in address and name."""

    role: Role | None = None
    state: UserState | None = None
    text: str | None = None


class UserChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator changes of a person; None leaves it."""

    name: str | None = None
    role: Role | None = None
    state: UserState | None = None


class Team(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What holds for the whole team."""

    version: int
    sales_rep_sees: SalesRepSees
