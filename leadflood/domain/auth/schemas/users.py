"""Users of the team."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.roles import Role

EmailText = Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
NameText = Annotated[str, msgspec.Meta(max_length=200)]
"""E-mail addresses and names as they may arrive; the rules check them."""


class UserState(StrEnum):
    """`invited` until they register; a `disabled` user may do nothing."""

    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


class SalesRepSees(StrEnum):
    """The visibility of a SALES_REP."""

    OWN = "own"
    ALL = "all"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user with their credentials: never leaves the domain, unlike `UserView`.

    `id`, `email`, `name`, `role`, `state`: who this is.
    `version`: counts the changes, for If-Match.
    `password_hash`: argon2id; None until the user has registered.
    `totp_secret`: sealed; None without a second factor.
    `totp_confirmed_at`: None while no second factor is asked for.
    `totp_last_step`: the time step of the last code used.
    `created_at`, `updated_at`, `last_login_at`: instants; no login yet is None.
    """

    id: UUID
    version: int
    email: str
    name: str
    role: Role
    state: UserState
    password_hash: str | None
    totp_secret: bytes | None
    totp_confirmed_at: datetime | None
    totp_last_step: int
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


class UserView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A person as others see them; `lastLoginAt` null: never."""

    id: UUID
    version: int
    email: str
    name: str
    role: Role
    state: UserState
    has_totp: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None

    @staticmethod
    def of(user: User) -> "UserView":
        """Return a user without their credentials."""
        return UserView(
            id=user.id,
            version=user.version,
            email=user.email,
            name=user.name,
            role=user.role,
            state=user.state,
            has_totp=user.totp_confirmed_at is not None,
            created_at=user.created_at,
            updated_at=user.updated_at,
            last_login_at=user.last_login_at,
        )


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user to be added: invited while `password_hash` is None, else active."""

    email: str
    name: str
    role: Role
    password_hash: str | None = None
