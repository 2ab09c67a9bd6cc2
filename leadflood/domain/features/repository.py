"""Feature snapshots in the database: a function a query."""

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


SnapshotKey = tuple[UUID, UUID, int, bytes]


class ComputedVector(msgspec.Struct, frozen=True, order=True):
    """A vector ready to be stored; all but the vector itself are its key."""

    lead_id: UUID
    icp_id: UUID
    source_version: int
    vector_hash: bytes
    vector: str

    @property
    def key(self) -> SnapshotKey:
        """The key by which two vectors are the same snapshot."""
        return self.lead_id, self.icp_id, self.source_version, self.vector_hash


async def find_targets(db: Reader, icp_ids: Sequence[UUID]) -> dict[UUID, Target]:
    """Find the targets of ICP versions; ids without one are left out."""
    rows = await db.fetch(SQL.find_targets, ids=list(icp_ids))
    return {
        row["id"]: msgspec.json.decode(row["definition"], type=Definition).target for row in rows
    }


async def record_snapshots(
    tx: Tx, vectors: Sequence[ComputedVector], ids: Ids, now: datetime
) -> dict[SnapshotKey, UUID]:
    """Store vectors; return each one's snapshot. One that was stored before keeps its id."""
    rows = sorted({vector.key: vector for vector in vectors}.values())
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
    snapshots = await tx.fetch(SQL.find_snapshot_ids, snapshot_version=SNAPSHOT_VERSION, **keys)
    return {
        (row["lead_id"], row["icp_id"], row["source_version"], row["vector_hash"]): row["id"]
        for row in snapshots
    }


async def find_snapshots(db: Reader, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
    """Find snapshots by id; ids without one are left out."""
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
