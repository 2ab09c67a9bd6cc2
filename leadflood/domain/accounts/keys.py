"""API keys: for scripts, in a person's name, never with more rights than his role has now."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.accounts.rules import write_api_key
from leadflood.domain.accounts.schemas import ApiKey, Permission, Principal
from leadflood.domain.accounts.sql import SQL
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Row, Tx
from leadflood.engine.errors import Conflict, FieldProblem, Invalid, NotFound
from leadflood.engine.ids import Ids

SECRET_BYTES = 32
MOST_KEYS = 100


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a key shall be; `expires_at` None: never."""

    name: str
    scopes: frozenset[Permission]
    expires_at: datetime | None


class MadeKey(msgspec.Struct, frozen=True):
    """A new key, and the text that is shown once."""

    key: ApiKey
    text: str


class ApiKeys:
    """The use cases of keys."""

    def __init__(self, db: Database, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids

    async def create(self, tx: Tx, owner: UUID, rights: Principal, new: NewKey) -> MadeKey:
        """Make a key of a person. Raises: Invalid (scopes, expiry), Conflict (too many)."""
        now = self._clock.now()
        _check(new, rights.permissions, now)
        await tx.execute(SQL.lock_accounts, what=f"keys of {owner}")
        count = await tx.fetch_value(SQL.count_keys, user_id=owner, now=now)
        if count >= MOST_KEYS:
            raise Conflict(
                f"{MOST_KEYS} keys are in force: revoke those not needed", code="api_key.too_many"
            )
        secret = secrets.token_hex(SECRET_BYTES)
        key = ApiKey(
            id=self._ids.new(), user_id=owner, name=new.name,
            scopes=tuple(sorted(new.scopes)), created_at=now, last_used_at=None,
            expires_at=new.expires_at, revoked_at=None,
        )  # fmt: skip
        await tx.execute(
            SQL.add_key, id=key.id, user_id=owner, name=key.name, hash=hash_of(secret),
            scopes=[scope.value for scope in key.scopes], now=now, expires_at=key.expires_at,
        )  # fmt: skip
        return MadeKey(key, write_api_key(key.id, secret))

    async def list(self, owner: UUID | None, before: UUID | None, limit: int) -> list[ApiKey]:
        """List keys, newest first; `owner` None: everybody's."""
        rows = await self._db.fetch(SQL.list_keys, user_id=owner, before=before, limit=limit)
        return [_key_of(row) for row in rows]

    async def revoke(self, tx: Tx, key_id: UUID, owner: UUID | None) -> ApiKey:
        """End a key; `owner` None: whoever's it is. Raises: NotFound."""
        row = await tx.fetch_one(SQL.revoke_key, id=key_id, user_id=owner, now=self._clock.now())
        if row is None:
            raise NotFound(
                f"there is no key {key_id} in force: list them for their ids",
                code="api_key.unknown",
            )
        return _key_of(row)


def hash_of(secret: str) -> bytes:
    """Hash a key's secret: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def _check(new: NewKey, rights: frozenset[Permission], now: datetime) -> None:
    problems = []
    if beyond := sorted(new.scopes - rights):
        problems.append(FieldProblem("scopes", f"you do not have {', '.join(beyond)}"))
    if not new.scopes:
        problems.append(FieldProblem("scopes", "name at least one permission"))
    if new.expires_at is not None and new.expires_at <= now:
        problems.append(FieldProblem("expiresAt", "write an instant to come, or leave it out"))
    if problems:
        raise Invalid.of(problems, code="api_key.refused")


def scopes_of(names: Sequence[str]) -> frozenset[Permission]:
    """Read scopes; those that a later release no longer knows allow nothing."""
    known = set(Permission)
    return frozenset(Permission(name) for name in names if name in known)


def _key_of(row: Row) -> ApiKey:
    return ApiKey(
        id=row["id"], user_id=row["user_id"], name=row["name"],
        scopes=tuple(sorted(scopes_of(row["scopes"]))), created_at=row["created_at"],
        last_used_at=row["last_used_at"], expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )  # fmt: skip
