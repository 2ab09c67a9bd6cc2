"""API keys: one function per query."""

from datetime import datetime
from uuid import UUID

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.rules.api_keys import parse_scopes
from leadflood.domain.auth.schemas.credentials import ApiKey
from leadflood.engine.db.tx import Reader, Row, Tx


async def add_api_key(tx: Tx, key: ApiKey, secret_hash: bytes) -> None:
    """Insert a key."""
    await tx.execute(
        SQL.add_api_key,
        id=key.id,
        user_id=key.user_id,
        name=key.name,
        hash=secret_hash,
        scopes=[scope.value for scope in key.scopes],
        now=key.created_at,
        expires_at=key.expires_at,
    )


async def count_api_keys(db: Reader, user_id: UUID, now: datetime) -> int:
    """Count a user's keys in force."""
    return int(await db.fetch_value(SQL.count_api_keys, user_id=user_id, now=now))


async def list_api_keys(
    db: Reader, user_id: UUID | None, before: UUID | None, limit: int
) -> list[ApiKey]:
    """List keys, newest first; `user_id` None: everybody's."""
    rows = await db.fetch(SQL.list_api_keys, user_id=user_id, before=before, limit=limit)
    return [_key_of(row) for row in rows]


async def revoke_api_key(
    tx: Tx, key_id: UUID, user_id: UUID | None, now: datetime
) -> ApiKey | None:
    """End a key in force and return it; `user_id` None: whoever's it is."""
    row = await tx.fetch_one(SQL.revoke_api_key, id=key_id, user_id=user_id, now=now)
    return _key_of(row) if row else None


async def list_living_keys(db: Reader, user_id: UUID, now: datetime) -> list[ApiKey]:
    """List a user's keys in force, newest first."""
    rows = await db.fetch(SQL.list_living_keys, user_id=user_id, now=now)
    return [_key_of(row) for row in rows]


async def revoke_api_keys(tx: Tx, user_id: UUID, now: datetime) -> int:
    """End all keys of a user; return how many."""
    return await tx.execute(SQL.revoke_api_keys, user_id=user_id, now=now)


def _key_of(row: Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        scopes=tuple(sorted(parse_scopes(row["scopes"]))),
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
