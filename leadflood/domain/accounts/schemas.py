"""People, roles, permissions, and what is written of privileged acts."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
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
    detail: dict[str, object]
