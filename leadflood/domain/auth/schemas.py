"""Identity and access: principals, roles and permissions, sessions, keys and one-time links."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated
from uuid import UUID

import msgspec

EmailText = Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
NameText = Annotated[str, msgspec.Meta(max_length=200)]
PasswordText = Annotated[str, msgspec.Meta(max_length=4_000)]
CodeText = Annotated[str, msgspec.Meta(max_length=40)]
TokenText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
"""What people type, as it may arrive; the rules check it."""


class Role(StrEnum):
    """What somebody is in the team; `PERMISSIONS` says what that allows."""

    ADMIN = "ADMIN"
    MANAGER = "MANAGER"
    SALES_REP = "SALES_REP"
    ANALYST = "ANALYST"
    VIEWER = "VIEWER"


class Permission(StrEnum):
    """What a route asks for. `self` is anything a caller does with what is their own."""

    SELF = "self"
    LEADS_READ = "leads:read"
    LEADS_WRITE = "leads:write"
    LEADS_DELETE = "leads:delete"
    LEADS_EXPORT = "leads:export"
    LEADS_IMPORT = "leads:import"
    ICPS_READ = "icps:read"
    ICPS_WRITE = "icps:write"
    DISCOVERY_READ = "discovery:read"
    DISCOVERY_WRITE = "discovery:write"
    MESSAGES_READ = "messages:read"
    MESSAGES_WRITE = "messages:write"
    MESSAGES_APPROVE = "messages:approve"
    TEMPLATES_WRITE = "templates:write"
    JOBS_READ = "jobs:read"
    EVENTS_READ = "events:read"
    ANALYTICS_READ = "analytics:read"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    AUDIT_READ = "audit:read"
    SETTINGS_READ = "settings:read"
    SETTINGS_WRITE = "settings:write"
    SYSTEM_READ = "system:read"
    ADMIN_READ = "admin:read"
    ADMIN_WRITE = "admin:write"


ALL = frozenset(Permission)
_VIEWER = frozenset(
    {
        Permission.SELF,
        Permission.LEADS_READ,
        Permission.ICPS_READ,
        Permission.DISCOVERY_READ,
        Permission.MESSAGES_READ,
        Permission.JOBS_READ,
        Permission.EVENTS_READ,
    }
)
_ANALYST = _VIEWER | {Permission.ANALYTICS_READ, Permission.LEADS_EXPORT}
_SALES_REP = _VIEWER | {
    Permission.LEADS_WRITE,
    Permission.LEADS_IMPORT,
    Permission.DISCOVERY_WRITE,
    Permission.MESSAGES_WRITE,
    Permission.MESSAGES_APPROVE,
}
_MANAGER = (
    _SALES_REP
    | _ANALYST
    | {
        Permission.LEADS_DELETE,
        Permission.ICPS_WRITE,
        Permission.TEMPLATES_WRITE,
        Permission.USERS_READ,
        Permission.SETTINGS_READ,
        Permission.SYSTEM_READ,
        Permission.ADMIN_READ,
    }
)
PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.ADMIN: ALL,
        Role.MANAGER: _MANAGER,
        Role.SALES_REP: _SALES_REP,
        Role.ANALYST: _ANALYST,
        Role.VIEWER: _VIEWER,
    }
)
"""The permission table: what each role allows."""


class PrincipalKind(StrEnum):
    """How a caller proved who they are."""

    USER = "user"
    KEY = "key"
    OPERATOR = "operator"
    NOBODY = "nobody"


class Visibility(msgspec.Struct, frozen=True):
    """Which leads a principal may see: all, or those of one owner. The default is all.

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


EVERYTHING = Visibility()


class Editor(msgspec.Struct, frozen=True, kw_only=True):
    """Who changes something, as the slices need to know it.

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
    def sees_owner(self) -> UUID | None:
        """The only owner whose leads the caller may see; None for all."""
        return self.visibility.owner_id

    @property
    def by(self) -> str:
        """The caller's name where an act is recorded: `user:<id>`, `key:<id>`, `operator`."""
        return self.kind.value if self.id is None else f"{self.kind.value}:{self.id}"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How people and scripts authenticate.

    `secret`: the master secret, from which all others are derived; the nodes of a database share
    it. Empty: made at the first start and kept in the data folder.
    `access_minutes`: lifetime of an access token.
    `refresh_days`: lifetime of a session that is not used.
    `session_days`: lifetime of a session at most.
    `claim_hours`, `invitation_hours`, `reset_hours`: lifetime of each kind of one-time link.
    `recheck_seconds`: how long a principal's rights are cached.
    `leeway_seconds`: how far the clocks of nodes may differ.
    `account_failures`: failed logins of an account that close it to addresses it never logged in
    from.
    `address_failures`: failed logins from an address that close that address.
    `failure_minutes`: how long a failed login counts.
    `argon2_memory_kib`, `argon2_passes`: cost of a password hash.
    """

    secret: str = ""
    access_minutes: float = 15.0
    refresh_days: float = 30.0
    session_days: float = 90.0
    claim_hours: float = 24.0
    invitation_hours: float = 168.0
    reset_hours: float = 24.0
    recheck_seconds: float = 1.0
    leeway_seconds: float = 5.0
    account_failures: int = 10
    address_failures: int = 50
    failure_minutes: float = 15.0
    argon2_memory_kib: int = 47_104
    argon2_passes: int = 1


class UserState(StrEnum):
    """`invited` until they register; a `disabled` user may do nothing."""

    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


class SalesRepSees(StrEnum):
    """Which leads a SALES_REP sees."""

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


class LinkKind(StrEnum):
    """What a one-time link is for."""

    CLAIM = "claim"
    INVITATION = "invitation"
    RESET = "reset"


class OneTimeLink(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link, to be shown once: only the hash of its token is stored."""

    kind: LinkKind
    token: str
    expires_at: datetime

    @property
    def path(self) -> str:
        """The path of the page behind the link."""
        page = "claim" if self.kind is LinkKind.CLAIM else "register"
        return f"/{page}/{self.token}"


class LinkHolder(msgspec.Struct, frozen=True, kw_only=True):
    """The user whom a valid link is for.

    `kind`: what the link allows.
    `user_id`, `email`, `name`: None for a claim link, which is for nobody yet.
    `removes_totp`: whether using the link removes the second factor.
    """

    kind: LinkKind
    user_id: UUID | None
    removes_totp: bool
    email: str | None
    name: str | None


class Session(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A login that is in force."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str
    user_agent: str
    is_current: bool


class SessionTokens(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of a session; `expires_at` is the access token's."""

    session_id: UUID
    access_token: str
    refresh_token: str
    expires_at: datetime


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key of a person; what it may is its scopes as far as its owner's role allows them now.

    `expiresAt` null: never; `lastUsedAt` null: not yet, else to the minute.
    """

    id: UUID
    user_id: UUID
    name: str
    scopes: tuple[Permission, ...]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key to be created; `expires_at` None: it does not expire."""

    name: str
    scopes: frozenset[Permission]
    expires_at: datetime | None


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A second factor to be confirmed: for an authenticator app, typed or as a QR code."""

    secret: str
    uri: str
