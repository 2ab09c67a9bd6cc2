"""Scores in the database: a function a query."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import Band
from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.features.schemas import Vector
from leadflood.domain.icp.schemas import (
    Bands,
    Definition,
    Operator,
    QualificationRule,
    RuleField,
    RuleKind,
    RuleValue,
)
from leadflood.domain.scoring.schemas import (
    Contribution,
    FactValue,
    LeadCount,
    Prediction,
    RuleTrace,
    Score,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)

RULES_V1 = UUID("019a0000-0000-7000-8000-000000000001")
"""The row of `scoring_algorithm` that the migration wrote."""

_TraceRow = tuple[
    int, RuleKind, RuleField, Operator, RuleValue, FactValue | None, bool, int, int, str, str
]
"""A `RuleTrace` without its keys: a row of more than 2 kB would cost Postgres 100 µs to compress
(500 rows of 2.3 kB: 77 ms, of 1.5 kB: 19 ms, on this machine)."""


class Rulebook(msgspec.Struct, frozen=True):
    """The rules and bands of an ICP version."""

    rules: tuple[QualificationRule, ...]
    bands: Bands


class NewPrediction(msgspec.Struct, frozen=True):
    """A score ready to be stored."""

    lead_id: UUID
    icp_id: UUID
    run_id: UUID | None
    snapshot_id: UUID
    source_version: int
    score: Score


async def find_rulebooks(db: Reader, icp_ids: Sequence[UUID]) -> dict[UUID, Rulebook]:
    """Find the rulebooks of ICP versions; ids without one are left out."""
    return {
        row["id"]: Rulebook(
            msgspec.json.decode(row["rules"] or "[]", type=tuple[QualificationRule, ...]),
            msgspec.json.decode(row["definition"], type=Definition).bands,
        )
        for row in await db.fetch(SQL.find_rulebooks, ids=list(icp_ids))
    }


async def find_vectors(db: Reader, snapshot_ids: Sequence[UUID]) -> dict[UUID, Vector]:
    """Find the vectors of snapshots; ids without one are left out."""
    rows = await db.fetch(SQL.find_vectors, ids=list(snapshot_ids))
    return {row["id"]: msgspec.json.decode(row["vector"], type=Vector) for row in rows}


async def record_predictions(
    tx: Tx, predictions: Sequence[NewPrediction], ids: Ids, now: datetime
) -> list[UUID | None]:
    """Store scores; return each one's id in order, None for one that was stored before."""
    scores = [prediction.score for prediction in predictions]
    new_ids = ids.take(len(predictions))
    rows = await tx.fetch(
        SQL.insert_predictions,
        ids=new_ids,
        lead_ids=[prediction.lead_id for prediction in predictions],
        icp_ids=[prediction.icp_id for prediction in predictions],
        run_ids=[prediction.run_id for prediction in predictions],
        snapshot_ids=[prediction.snapshot_id for prediction in predictions],
        source_versions=[prediction.source_version for prediction in predictions],
        algorithm_id=RULES_V1,
        scores_milli=[score.score_milli for score in scores],
        bands=[score.band for score in scores],
        filters_failed=[score.is_filtered_out for score in scores],
        names=[_array(part.name for part in score.contributions) for score in scores],
        points=[_array(str(part.points_milli) for part in score.contributions) for score in scores],
        traces=[_write_trace(score.trace) for score in scores],
        now=now,
    )
    stored = {row["id"] for row in rows}
    return [new_id if new_id in stored else None for new_id in new_ids]


async def list_newest(db: Reader, visibility: Visibility, limit: int) -> list[UUID]:
    """List the newest leads that may be seen."""
    if visibility.is_limited:
        rows = await db.fetch(SQL.list_newest_owned, owner=visibility.owner, limit=limit)
    else:
        rows = await db.fetch(SQL.list_newest, limit=limit)
    return [row["id"] for row in rows]


async def count_leads(db: Reader, visibility: Visibility, bound: int) -> LeadCount:
    """Count the leads that may be seen; beyond a bound the count is an estimate."""
    count = await db.fetch_value(SQL.count_leads_to, owner=visibility.owner, bound=bound + 1)
    if count <= bound:
        return LeadCount(count=count, is_estimate=False)
    if visibility.is_limited:
        return LeadCount(count=count, is_estimate=True)
    estimate = await db.fetch_value(SQL.estimate_all_leads)
    return LeadCount(count=max(estimate, count), is_estimate=True)


async def find_scores(
    db: Reader, lead_ids: Sequence[UUID], icp_id: UUID | None = None
) -> dict[UUID, Prediction]:
    """Return the newest score of each lead, for one ICP version or (None) for any."""
    rows = await db.fetch(SQL.find_scores, lead_ids=list(lead_ids), icp_id=icp_id)
    return {row["lead_id"]: _prediction_of(row) for row in rows}


async def find_newest(db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return the id of each lead's newest score; leads without one are left out."""
    rows = await db.fetch(SQL.find_newest, lead_ids=list(lead_ids))
    return {row["lead_id"]: row["id"] for row in rows}


async def find_newest_high(
    db: Reader, pairs: Collection[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], UUID]:
    """Return the newest score of each lead for an ICP version, where it is HIGH."""
    if not pairs:
        return {}
    rows = await db.fetch(
        SQL.find_newest_high,
        lead_ids=[lead_id for lead_id, _ in pairs],
        icp_ids=[icp_id for _, icp_id in pairs],
    )
    return {(row["lead_id"], row["icp_id"]): row["id"] for row in rows}


async def list_top(db: Reader, run_id: UUID, limit: int) -> list[Prediction]:
    """List the best leads of a run, best first."""
    rows = await db.fetch(SQL.find_top, run_id=run_id, limit=limit)
    return [_prediction_of(row) for row in rows]


def _write_trace(trace: Sequence[RuleTrace]) -> str:
    return msgspec.json.encode([msgspec.structs.astuple(row) for row in trace]).decode()


def _read_trace(text: str) -> tuple[RuleTrace, ...]:
    return tuple(
        RuleTrace(
            position=position,
            kind=kind,
            field=field,
            operator=operator,
            wanted=wanted,
            seen=seen,
            is_met=is_met,
            points_milli=points_milli,
            worth_milli=worth_milli,
            reason=reason,
            error=error,
        )
        for (
            position,
            kind,
            field,
            operator,
            wanted,
            seen,
            is_met,
            points_milli,
            worth_milli,
            reason,
            error,
        ) in msgspec.json.decode(text, type=tuple[_TraceRow, ...])
    )


def _array(items: Iterable[str]) -> str:
    """Encode an array as Postgres reads it; names are made of letters, digits, `.` and `_`."""
    return f"{{{','.join(items)}}}"


def _prediction_of(row: Row) -> Prediction:
    score = Score(
        score_milli=row["score_milli"],
        band=Band(row["band"]),
        is_filtered_out=row["hard_filter_failed"],
        contributions=tuple(
            map(Contribution, row["contribution_names"], row["contribution_points"])
        ),
        trace=_read_trace(row["trace"]),
    )
    return Prediction(
        id=row["id"],
        lead_id=row["lead_id"],
        icp_id=row["icp_id"],
        run_id=row["run_id"],
        snapshot_id=row["snapshot_id"],
        source_version=row["source_version"],
        algorithm=row["algorithm"],
        algorithm_version=row["algorithm_version"],
        medium_milli=row["medium_milli"],
        high_milli=row["high_milli"],
        score=score,
        created_at=row["created_at"],
    )
