"""Keeps feature snapshots: one function per query."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.features.schemas import SNAPSHOT_VERSION, Snapshot, Vector
from leadflood.domain.icp.schemas import Definition, Target
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)


class ComputedVector(msgspec.Struct, frozen=True, order=True):
    """A vector ready to be kept; the first four name it."""

    lead_id: UUID
    icp_id: UUID
    source_version: int
    vector_hash: bytes
    vector: str


SnapshotKey = tuple[UUID, UUID, int, bytes]


def key_of(computed: ComputedVector) -> SnapshotKey:
    """Tell what names a vector."""
    return computed.lead_id, computed.icp_id, computed.source_version, computed.vector_hash


async def find_targets(db: Reader, icp_ids: Sequence[UUID]) -> dict[UUID, Target]:
    """Find whom ICP versions look for; unknown ids are left out."""
    rows = await db.fetch(SQL.find_targets, ids=list(icp_ids))
    return {
        row["id"]: msgspec.json.decode(row["definition"], type=Definition).target for row in rows
    }


async def record_snapshots(
    tx: Tx, computed: Sequence[ComputedVector], ids: Ids, now: datetime
) -> dict[SnapshotKey, UUID]:
    """Keep vectors and tell each one's snapshot; one that was kept before keeps its id."""
    rows = sorted({key_of(one): one for one in computed}.values())
    keys = {
        "lead_ids": [row.lead_id for row in rows],
        "icp_ids": [row.icp_id for row in rows],
        "source_versions": [row.source_version for row in rows],
        "vector_hashes": [row.vector_hash for row in rows],
    }
    await tx.execute(
        SQL.insert_snapshots,
        ids=ids.take(len(rows)),
        vectors=[row.vector for row in rows],
        snapshot_version=SNAPSHOT_VERSION,
        now=now,
        **keys,
    )
    found = await tx.fetch(SQL.find_snapshot_ids, snapshot_version=SNAPSHOT_VERSION, **keys)
    return {
        (row["lead_id"], row["icp_id"], row["source_version"], row["vector_hash"]): row["id"]
        for row in found
    }


async def find_snapshots(db: Reader, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
    """Find snapshots by id; unknown ids are left out."""
    rows = await db.fetch(SQL.find_snapshots, ids=list(ids))
    return {
        row["id"]: Snapshot(
            id=row["id"],
            lead_id=row["lead_id"],
            icp_id=row["icp_id"],
            snapshot_version=row["snapshot_version"],
            source_version=row["source_version"],
            vector=msgspec.json.decode(row["vector"], type=Vector),
            created_at=row["created_at"],
        )
        for row in rows
    }
