"""Saved mappings in the database."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.imports.schemas.mappings import ImportMapping
from leadflood.domain.imports.schemas.saved_mappings import SavedMapping
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)
_encode = msgspec.json.Encoder().encode
_decode_mapping = msgspec.json.Decoder(ImportMapping).decode


async def record(tx: Tx, saved: SavedMapping, fingerprint: bytes, now: datetime) -> UUID:
    """Record a mapping under its name; one of the same owner and name is replaced."""
    saved_id: UUID = await tx.fetch_value(
        SQL.record_saved_mapping, **_columns(saved, fingerprint, now)
    )
    return saved_id


async def take(tx: Tx, saved_id: UUID, visibility: Visibility) -> tuple[SavedMapping, bytes] | None:
    """Take one out, with its fingerprint, to put it back changed; None: it is not there."""
    row = await tx.fetch_one(SQL.take_saved_mapping, id=saved_id, owner=visibility.owner)
    return None if row is None else (_saved(row), row["fingerprint"])


async def put(tx: Tx, saved: SavedMapping, fingerprint: bytes, now: datetime) -> bool:
    """Put one back; return False where its owner has another of that name."""
    columns = _columns(saved, fingerprint, now)
    return await tx.fetch_value(SQL.put_saved_mapping, **columns) is not None


async def count(db: Reader, owner: str | None) -> int:
    """Count the mappings of an owner."""
    return int(await db.fetch_value(SQL.count_saved_mappings, owner=owner))


async def list_all(db: Reader, visibility: Visibility) -> Sequence[SavedMapping]:
    """List those that somebody sees, by name."""
    rows = await db.fetch(SQL.list_saved_mappings, owner=visibility.owner, fingerprint=None)
    return [_saved(row) for row in rows]


async def find_by_headers(
    db: Reader, fingerprint: bytes, visibility: Visibility
) -> SavedMapping | None:
    """Find the newest for files with such headers."""
    rows = await db.fetch(SQL.list_saved_mappings, owner=visibility.owner, fingerprint=fingerprint)
    return max(map(_saved, rows), key=lambda saved: (saved.updated_at, saved.id), default=None)


async def delete(tx: Tx, saved_id: UUID, visibility: Visibility) -> bool:
    """Delete one; return whether it was there."""
    return await tx.execute(SQL.delete_saved_mapping, id=saved_id, owner=visibility.owner) > 0


def _columns(saved: SavedMapping, fingerprint: bytes, now: datetime) -> dict[str, object]:
    return {
        "id": saved.id,
        "owner": saved.owner,
        "name": saved.name,
        "fingerprint": fingerprint,
        "headers": list(saved.headers),
        "mapping": _encode(saved.mapping).decode(),
        "made_by": saved.made_by,
        "now": now,
    }


def _saved(row: Row) -> SavedMapping:
    return SavedMapping(
        id=row["id"],
        name=row["name"],
        headers=tuple(row["headers"]),
        mapping=_decode_mapping(row["mapping"]),
        owner=row["owner"],
        made_by=row["made_by"],
        updated_at=row["updated_at"],
    )
