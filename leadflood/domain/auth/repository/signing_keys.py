"""Signing keys: one function per query."""

from datetime import datetime

import msgspec

from leadflood.domain.auth.repository.statements import SQL
from leadflood.engine.db.tx import Reader, Tx


class SigningKeyRow(msgspec.Struct, frozen=True):
    """A signing key as it is stored; its secret is derived."""

    kid: str
    retired_at: datetime | None


async def list_signing_keys(db: Reader, since: datetime) -> list[SigningKeyRow]:
    """List the keys in force and those retired since, newest first."""
    rows = await db.fetch(SQL.list_signing_keys, since=since)
    return [SigningKeyRow(row["kid"], row["retired_at"]) for row in rows]


async def add_signing_key(tx: Tx, kid: str, now: datetime) -> None:
    """Insert a key."""
    await tx.execute(SQL.add_signing_key, kid=kid, now=now)


async def retire_signing_keys(tx: Tx, now: datetime) -> None:
    """Sign no new token with the present key."""
    await tx.execute(SQL.retire_signing_keys, now=now)


async def prune_signing_keys(tx: Tx, before: datetime) -> None:
    """Delete the keys retired before an instant."""
    await tx.execute(SQL.prune_signing_keys, before=before)
