"""Principals: who calls, what they may do and which leads they see."""

from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.roles import ALL, Permission, Role


class PrincipalKind(StrEnum):
    """How a caller proved who they are."""

    USER = "user"
    KEY = "key"
    OPERATOR = "operator"
    NOBODY = "nobody"


class OwnedRun(Protocol):
    """A run as far as it says whose it is: `opened_by` a user, empty for nobody."""

    @property
    def opened_by(self) -> str:
        """Who opened it."""

    @property
    def is_shared(self) -> bool:
        """Whether it is the whole team's."""


class Visibility(msgspec.Struct, frozen=True):
    """Visibility to a principal: of all, or of what one owner has. The default is all.

    `owner_id` is the owner's user id, None for all; queries take it as a parameter.
    """

    owner_id: UUID | None = None

    @property
    def is_limited(self) -> bool:
        """Whether the leads of other owners are hidden."""
        return self.owner_id is not None

    @property
    def owner(self) -> str | None:
        """The owner as a lead's `owner` column spells it; None for all."""
        return None if self.owner_id is None else str(self.owner_id)

    def allows(self, owner: UUID | str | None) -> bool:
        """Whether a lead of this owner may be seen; None is a lead that nobody owns."""
        return self.owner_id is None or (owner is not None and str(owner) == self.owner)

    def allows_run(self, run: OwnedRun) -> bool:
        """Whether a run may be seen, with its jobs, events and notifications."""
        return run.is_shared or self.allows(run.opened_by)

    def allows_change_of_run(self, run: OwnedRun) -> bool:
        """Whether a run may be changed: also a shared one by whoever opened it alone."""
        return self.allows(run.opened_by)


EVERYTHING = Visibility()


class Editor(msgspec.Struct, frozen=True, kw_only=True):
    """The actor of a change, as the slices need to know it.

    `by`: who this is where an act is recorded. `visibility`: which leads they see.
    `if_match`: the version they mean; None: whichever it is.
    """

    by: str
    visibility: Visibility = EVERYTHING
    if_match: int | None = None


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller. The operator holds `http.token` of the settings and is no user.

    `kind`: how the caller proved their identity.
    `name`: the user's e-mail address, the key's name, or `operator`.
    `permissions`: what the caller may do now.
    `id`: the user's or the key's; None for the operator.
    `user_id`: the user whose rights these are.
    `session_id`: None unless the caller came with a session's access token.
    `role`: the user's role; None for the operator.
    `visibility`: which leads the caller may see.
    """

    kind: PrincipalKind
    name: str
    permissions: frozenset[Permission]
    id: UUID | None = None
    user_id: UUID | None = None
    session_id: UUID | None = None
    role: Role | None = None
    visibility: Visibility = EVERYTHING

    @property
    def by(self) -> str:
        """The caller's name where an act is recorded: `user:<id>`, `key:<id>`, `operator`."""
        return self.kind.value if self.id is None else f"{self.kind.value}:{self.id}"

    @property
    def counted_as(self) -> str:
        """The user, by whichever credential, where their share is counted; else `by`."""
        return self.by if self.user_id is None else str(self.user_id)


OPERATOR = Principal(kind=PrincipalKind.OPERATOR, name="operator", permissions=ALL)
"""Whoever holds `http.token` of the settings, or the machine: may do all, is nobody's user."""
