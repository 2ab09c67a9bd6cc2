"""People, roles, permissions, and what is written of privileged acts."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec


class Role(StrEnum):
    """What somebody is in the team; `PERMISSIONS` says what that allows."""

    ADMIN = "ADMIN"
    MANAGER = "MANAGER"
    SALES_REP = "SALES_REP"
    ANALYST = "ANALYST"
    VIEWER = "VIEWER"


class Permission(StrEnum):
    """What a route asks for. `self` is anything a caller does with what is his own."""

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
    """How a caller proved who he is."""

    USER = "user"
    KEY = "key"
    OPERATOR = "operator"
    NOBODY = "nobody"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, proved. An operator holds `http.token` of the settings and is nobody's user.

    `id` is the user's or the key's, None for an operator; `user_id` the user whose rights these
    are; `session_id` None: not by a session. `sees_owner` None: sees all leads, else only those
    of this owner.
    """

    kind: PrincipalKind
    name: str
    permissions: frozenset[Permission]
    id: UUID | None = None
    user_id: UUID | None = None
    session_id: UUID | None = None
    role: Role | None = None
    sees_owner: UUID | None = None

    @property
    def by(self) -> str:
        """Tell who this is where an act is recorded: `user:<id>`, `key:<id>`, `operator`."""
        return self.kind.value if self.id is None else f"{self.kind.value}:{self.id}"


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A privileged act: `action` is `noun.past_verb` (`user.role_changed`), `detail` small JSON.

    `subject_id` None: the act is about the whole kind.
    """

    action: str
    subject_kind: str
    subject_id: str | None = None
    detail: Mapping[str, object] = msgspec.field(default_factory=dict)


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A privileged act as it is kept: who, from where, by which request, what, to what.

    `actorId` null: the operator; `subjectId` null: the whole kind.
    """

    id: UUID
    at: datetime
    actor_kind: PrincipalKind
    actor_id: UUID | None
    actor: str
    address: str
    request_id: str
    action: str
    subject_kind: str
    subject_id: str | None
    detail: dict[str, Any]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How people and scripts prove who they are.

    `secret` is what all other secrets are derived from; all nodes of a database share it. Empty:
    made at the first start and kept in the data folder. `access_minutes`: how long an access token
    lives; `refresh_days`: how long a session lives unused; `session_days`: at most; `recheck_
    seconds`: how old what we know of a caller's rights may be; `leeway_seconds`: how far clocks of
    nodes may differ. `account_failures` wrong logins for an account within `failure_minutes` close
    it for addresses it never logged in from; `address_failures` from an address close it there.
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
    """`invited` until he registers; who is `disabled` may do nothing."""

    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


class SalesRepSees(StrEnum):
    """Which leads a SALES_REP sees."""

    OWN = "own"
    ALL = "all"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person with what proves who he is. `password_hash` None: not registered yet.

    `totp_secret` is sealed; `totp_confirmed_at` None: no second factor is asked for.
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
    """A person as others see him; `lastLoginAt` null: never."""

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
        """Leave out what proves who he is."""
        return UserView(
            id=user.id, version=user.version, email=user.email, name=user.name, role=user.role,
            state=user.state, has_totp=user.totp_confirmed_at is not None,
            created_at=user.created_at, updated_at=user.updated_at,
            last_login_at=user.last_login_at,
        )  # fmt: skip


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


class LinkKind(StrEnum):
    """What a one-time link is for."""

    CLAIM = "claim"
    INVITATION = "invitation"
    RESET = "reset"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link, to be shown once: only its hash is kept."""

    kind: LinkKind
    token: str
    expires_at: datetime


class LinkHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a link that still works is for; a claim link is for nobody yet."""

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


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a session gives to its holder; `expires_at` is the access token's."""

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


class Team(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What holds for the whole team."""

    version: int
    sales_rep_sees: SalesRepSees


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A second factor to be confirmed: for an authenticator app, typed or as a QR code."""

    secret: str
    uri: str
