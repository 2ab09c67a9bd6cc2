"""One-time links: one function per query."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.repository.statements import SQL
from leadflood.domain.auth.schemas.links import LinkHolder, LinkKind
from leadflood.engine.db.tx import Reader, Tx


class NewLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link to be stored.

    `token_hash`: all that is stored of its token.
    `kind`: what the link allows.
    `user_id`: None for a claim link.
    `removes_totp`: whether using the link removes the second factor.
    `created_at`, `expires_at`: instants.
    """

    token_hash: bytes
    kind: LinkKind
    user_id: UUID | None
    removes_totp: bool
    created_at: datetime
    expires_at: datetime


async def add_link(tx: Tx, link: NewLink) -> None:
    """Insert a link."""
    await tx.execute(
        SQL.add_link,
        hash=link.token_hash,
        kind=link.kind,
        user_id=link.user_id,
        removes_totp=link.removes_totp,
        now=link.created_at,
        expires_at=link.expires_at,
    )


async def find_link(db: Reader, token_hash: bytes, now: datetime) -> LinkHolder | None:
    """Find a valid link with its user."""
    row = await db.fetch_one(SQL.find_link, hash=token_hash, now=now)
    if row is None:
        return None
    return msgspec.convert(dict(row.items()), LinkHolder, builtin_types=(UUID,))


async def consume_link(tx: Tx, token_hash: bytes, now: datetime) -> bool:
    """Delete a valid link; False when another transaction did."""
    return await tx.fetch_one(SQL.consume_link, hash=token_hash, now=now) is not None


async def delete_links(tx: Tx, user_id: UUID) -> None:
    """Delete the links of a user."""
    await tx.execute(SQL.delete_links, user_id=user_id)


async def delete_claim_links(tx: Tx) -> None:
    """Delete the claim link."""
    await tx.execute(SQL.delete_claim_links)
