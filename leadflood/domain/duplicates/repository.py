"""Possible duplicates in the database, and how leads are found that may be one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.duplicates.rules import Likeness, Signature
from leadflood.domain.duplicates.schemas import DuplicateFilter, DuplicateState
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)
MOST_OF_BLOCK = 30
_SEPARATOR = "\x1e"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Signature).decode

Pair = tuple[UUID, UUID]
"""Two leads, the older first."""
Block = tuple[int, UUID]
"""A block and a lead that is in it."""


class StoredPair(msgspec.Struct, frozen=True, kw_only=True):
    """Two leads that may be one; `decided_at`, `decided_by` None: nobody has decided."""

    id: UUID
    state: DuplicateState
    score: float
    reasons: tuple[str, ...]
    lead_id: UUID
    other_id: UUID
    found_at: datetime
    decided_at: datetime | None
    decided_by: str | None


async def lock_signatures(tx: Tx, lead_ids: Iterable[UUID]) -> dict[UUID, Signature]:
    """Lock what leads were compared by until now; those that never were are left out."""
    rows = await tx.fetch(SQL.lock_signatures, lead_ids=list(lead_ids))
    return {lead_id: _decode(content) for lead_id, content in rows}


async def write_signatures(tx: Tx, signatures: Mapping[UUID, Signature]) -> None:
    """Write what leads are compared by."""
    if signatures:
        await tx.execute(
            SQL.add_signatures,
            lead_ids=list(signatures),
            contents=[_encode(signature) for signature in signatures.values()],
        )


async def write_blocks(tx: Tx, gone: Sequence[Block], new: Sequence[Block]) -> None:
    """Write with whom leads are compared."""
    if gone:
        await tx.execute(SQL.delete_blocks, **_block_columns(gone))
    if new:
        await tx.execute(SQL.add_blocks, **_block_columns(new))


async def find_candidates(db: Reader, blocks: Sequence[Block]) -> set[Pair]:
    """Find pairs of leads that share a block."""
    rows = await db.fetch(SQL.find_candidates, **_block_columns(blocks), most=MOST_OF_BLOCK)
    return {(min(one, other), max(one, other)) for one, other in rows}


async def find_open_pairs(db: Reader, lead_ids: Collection[UUID]) -> set[Pair]:
    """Find pairs of these leads that nobody has decided."""
    if not lead_ids:
        return set()
    rows = await db.fetch(SQL.find_open_pairs, lead_ids=list(lead_ids), most=MOST_OF_BLOCK)
    return {(lead_id, other_id) for lead_id, other_id in rows}


async def find_signatures(
    db: Reader, lead_ids: Iterable[UUID]
) -> dict[UUID, tuple[Signature, frozenset[UUID]]]:
    """Find signatures and whom a person has told each lead apart from, of leads that stand."""
    rows = await db.fetch(SQL.find_signatures, lead_ids=list(set(lead_ids)))
    return {
        lead_id: (_decode(content), frozenset(kept_apart)) for lead_id, content, kept_apart in rows
    }


async def find_different(db: Reader, marks: Iterable[bytes]) -> set[bytes]:
    """Find which pairs of keys somebody has told apart."""
    rows = await db.fetch(SQL.find_different, marks=list(marks))
    return {row["mark"] for row in rows}


async def add_different(tx: Tx, marks: Iterable[bytes], now: datetime) -> None:
    """Remember pairs of keys that are two people's."""
    await tx.execute(SQL.add_different, marks=list(marks), now=now)


async def add_pairs(
    tx: Tx, pairs: Mapping[Pair, Likeness], ids: Ids, now: datetime
) -> list[tuple[UUID, UUID]]:
    """Add pairs, or write what has changed of them; return (pair, younger lead) of new ones."""
    if not pairs:
        return []
    new_ids = ids.take(len(pairs))
    rows = await tx.fetch(
        SQL.add_pairs,
        ids=new_ids,
        lead_ids=[lead_id for lead_id, _ in pairs],
        other_ids=[other_id for _, other_id in pairs],
        scores=[likeness.score for likeness in pairs.values()],
        reasons=[_SEPARATOR.join(likeness.reasons) for likeness in pairs.values()],
        now=now,
    )
    is_new = set(new_ids)
    return [(row["id"], row["other_id"]) for row in rows if row["id"] in is_new]


async def drop_pairs(tx: Tx, pairs: Iterable[Pair]) -> None:
    """Delete pairs that nobody has decided."""
    ordered = sorted(pairs)
    if ordered:
        await tx.execute(
            SQL.drop_pairs,
            lead_ids=[lead_id for lead_id, _ in ordered],
            other_ids=[other_id for _, other_id in ordered],
        )


async def list_pairs(
    db: Reader,
    duplicates: DuplicateFilter,
    visibility: Visibility,
    after: tuple[float, UUID] | None,
    limit: int,
) -> list[StoredPair]:
    """List pairs whose leads are both visible, the likeliest first, behind a position."""
    score, pair_id = after or (None, None)
    rows = await db.fetch(
        SQL.list_pairs,
        state=duplicates.state.value,
        lead_id=duplicates.lead_id,
        owner=visibility.owner,
        score=score,
        id=pair_id,
        limit=limit,
    )
    return [_pair(row) for row in rows]


async def find_pair(db: Reader, pair_id: UUID) -> StoredPair | None:
    """Find a pair, whatever has become of its leads."""
    row = await db.fetch_one(SQL.find_pair, id=pair_id)
    return None if row is None else _pair(row)


async def decide(tx: Tx, pair_id: UUID, by: str, now: datetime) -> None:
    """Record that a person has said that two leads are different."""
    await tx.execute(SQL.decide, id=pair_id, by=by, now=now)


async def prune_blocks(tx: Tx, limit: int) -> None:
    """Delete blocks of leads that are gone."""
    await tx.execute(SQL.prune_blocks, limit=limit)


def _block_columns(blocks: Sequence[Block]) -> dict[str, list[object]]:
    return {
        "blocks": [block for block, _ in blocks],
        "lead_ids": [lead_id for _, lead_id in blocks],
    }


def _pair(row: Row) -> StoredPair:
    return StoredPair(
        id=row["id"],
        state=DuplicateState(row["state"]),
        score=row["score"],
        reasons=tuple(row["reasons"]),
        lead_id=row["lead_id"],
        other_id=row["other_id"],
        found_at=row["found_at"],
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
    )
