"""Labels in the database."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.learning.schemas import Kind, Label, NewLabel, Outcome
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)


class ScoreThen(msgspec.Struct, frozen=True):
    """The score that a lead had when its outcome came."""

    prediction_id: UUID
    icp_id: UUID
    snapshot_id: UUID


async def find_score_then(
    db: Reader, lead_ids: Sequence[UUID], icp_id: UUID | None, at: datetime
) -> ScoreThen | None:
    """Find the newest score of a time, for one ICP version or (None) for any."""
    row = await db.fetch_one(SQL.find_score_then, lead_ids=list(lead_ids), icp_id=icp_id, at=at)
    return None if row is None else ScoreThen(row["id"], row["icp_id"], row["snapshot_id"])


async def record_label(
    tx: Tx, label_id: UUID, new: NewLabel, kind: Kind, score: ScoreThen | None, now: datetime
) -> None:
    """Record a label."""
    await tx.execute(
        SQL.add_label,
        id=label_id,
        lead_id=new.lead_id,
        kind=kind.value,
        outcome=new.outcome.value,
        note=new.note,
        happened_at=new.happened_at or now,
        source=new.source,
        by=new.by,
        now=now,
        icp_id=new.icp_id if score is None else score.icp_id,
        prediction_id=None if score is None else score.prediction_id,
        snapshot_id=None if score is None else score.snapshot_id,
    )


async def list_labels(db: Reader, lead_ids: Sequence[UUID], limit: int) -> list[Label]:
    """List the outcomes of leads that are one, newest first."""
    rows = await db.fetch(SQL.list_labels, lead_ids=list(lead_ids), limit=limit)
    return [_label(row) for row in rows]


def _label(row: Row) -> Label:
    values = dict(row.items())
    score_milli = values.pop("score_milli")
    values["kind"], values["outcome"] = Kind(values["kind"]), Outcome(values["outcome"])
    return Label(**values, score=None if score_milli is None else score_milli / 1000)
