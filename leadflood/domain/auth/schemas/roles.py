"""Roles and permissions: the table of what each role allows."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """A role in the team; `PERMISSIONS` lists what it allows."""

    ADMIN = "ADMIN"
    MANAGER = "MANAGER"
    SALES_REP = "SALES_REP"
    ANALYST = "ANALYST"
    VIEWER = "VIEWER"


class Permission(StrEnum):
    """A permission of a route or a field. `self`: for what a caller does with what is their own."""

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
    MESSAGES_SEND = "messages:send"
    MESSAGES_AGAIN = "messages:again"
    TEMPLATES_WRITE = "templates:write"
    SUPPRESSIONS_LIFT = "suppressions:lift"
    JOBS_READ = "jobs:read"
    EVENTS_READ = "events:read"
    ANALYTICS_READ = "analytics:read"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    AUDIT_READ = "audit:read"
    BUDGET_WRITE = "budget:write"
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
    Permission.MESSAGES_SEND,
    Permission.MESSAGES_AGAIN,
}


_MANAGER = (
    _SALES_REP
    | _ANALYST
    | {
        Permission.LEADS_DELETE,
        Permission.ICPS_WRITE,
        Permission.TEMPLATES_WRITE,
        Permission.BUDGET_WRITE,
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
