"""Principals: the holder of a session or key, with their present rights."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.rules.api_keys import parse_scopes
from leadflood.domain.auth.rules.visibility import visibility_of
from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind, Visibility
from leadflood.domain.auth.schemas.roles import PERMISSIONS, Role
from leadflood.domain.auth.schemas.users import SalesRepSees
from leadflood.engine.db.tx import Reader, Row


class KeyHolder(msgspec.Struct, frozen=True, kw_only=True):
    """An API key in force: its holder, the hash of its secret, its expiry and last use."""

    principal: Principal
    secret_hash: bytes
    expires_at: datetime
    last_used_at: datetime | None


async def find_session_principal(db: Reader, session_id: UUID, now: datetime) -> Principal | None:
    """Find the holder of a session in force."""
    row = await db.fetch_one(SQL.find_session_holder, id=session_id, now=now)
    if row is None:
        return None
    role = Role(row["role"])
    return Principal(
        kind=PrincipalKind.USER,
        name=row["email"],
        permissions=PERMISSIONS[role],
        id=row["user_id"],
        user_id=row["user_id"],
        session_id=session_id,
        role=role,
        visibility=_visibility_in(row),
    )


async def find_key_holder(db: Reader, key_id: UUID, now: datetime) -> KeyHolder | None:
    """Find the holder of a key in force."""
    row = await db.fetch_one(SQL.find_api_key_holder, id=key_id, now=now)
    if row is None:
        return None
    role = Role(row["role"])
    principal = Principal(
        kind=PrincipalKind.KEY,
        name=row["name"],
        permissions=PERMISSIONS[role] & parse_scopes(row["scopes"]),
        id=key_id,
        user_id=row["user_id"],
        role=role,
        visibility=_visibility_in(row),
    )
    return KeyHolder(
        principal=principal,
        secret_hash=bytes(row["hash"]),
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
    )


async def record_api_key_use(db: Reader, key_id: UUID, now: datetime) -> None:
    """Record when a key was used, at most once a minute."""
    await db.execute(SQL.record_api_key_use, id=key_id, now=now)


def _visibility_in(row: Row) -> Visibility:
    return visibility_of(Role(row["role"]), SalesRepSees(row["sales_rep_sees"]), row["user_id"])
