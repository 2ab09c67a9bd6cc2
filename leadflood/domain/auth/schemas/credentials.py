"""Credentials: sessions, API keys and second factors."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.roles import Permission

PasswordText = Annotated[str, msgspec.Meta(max_length=4_000)]
CodeText = Annotated[str, msgspec.Meta(max_length=40)]
TokenText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
DeviceTokenText = Annotated[str, msgspec.Meta(max_length=200)]
"""Secrets as people type them; the rules check them."""


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

    `lastUsedAt` null: not yet, else to the minute.
    """

    id: UUID
    user_id: UUID
    name: str
    scopes: tuple[Permission, ...]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    revoked_at: datetime | None


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key to be created; `expires_at` None: it ends after `accounts.key_days`."""

    name: str
    scopes: frozenset[Permission]
    expires_at: datetime | None


class EndedAccess(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was ended of a user's access, and which of their keys still work.

    `sessions`, `keys`: how many were ended. `livingKeys`: revoke those that nobody needs.
    """

    sessions: int
    keys: int
    living_keys: tuple[ApiKey, ...]


class Enrollment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A second factor to be confirmed: for an authenticator app, typed or as a QR code."""

    secret: str
    uri: str
