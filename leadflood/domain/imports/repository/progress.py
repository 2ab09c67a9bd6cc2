"""Progress of imports in the database: started, advanced, finished, failed, undone."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.imports.repository.imports import CheckedMapping
from leadflood.domain.imports.rules.row_outcomes import is_hidden
from leadflood.domain.imports.schemas.notes import NoteCount
from leadflood.domain.imports.schemas.rows import RowResult, RowState
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)

_encode = msgspec.json.Encoder().encode


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import is after a part of it, which ended in `results`.

    `notes` are those of all parts so far.
    `opted_out_count`: how many of its rows say no.
    """

    import_id: UUID
    position: int
    results: Sequence[RowResult]
    notes: Sequence[NoteCount]
    is_last: bool
    opted_out_count: int = 0


class UndoProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an undo is after a part of it."""

    import_id: UUID
    position: int
    undone_count: int
    kept_count: int
    is_last: bool


async def start_import(
    tx: Tx, import_id: UUID, checked: CheckedMapping, icp_id: UUID | None, now: datetime
) -> None:
    """Record that a file's rows are read from now on."""
    plan = _encode(checked).decode()
    await tx.execute(SQL.start_import, id=import_id, plan=plan, icp_id=icp_id, now=now)


async def record_job(tx: Tx, import_id: UUID, job_id: UUID) -> None:
    """Record the job that reads the rows."""
    await tx.execute(SQL.record_job, id=import_id, job_id=job_id)


async def start_undo(
    tx: Tx, import_id: UUID, job_id: UUID, position: int, visibility: Visibility
) -> None:
    """Record that an import is being undone from a line on, by which job, and in whose leads."""
    await tx.execute(
        SQL.start_undo,
        id=import_id,
        job_id=job_id,
        place=position,
        owner_id=visibility.owner_id,
    )


async def advance_import(tx: Tx, progress: Progress, now: datetime) -> tuple[int, int]:
    """Record how far an import is; return (rows with an outcome, rows)."""
    outcomes = [result.outcome for result in progress.results]
    row = await tx.fetch_one(
        SQL.advance_import,
        id=progress.import_id,
        place=progress.position,
        created=outcomes.count(RowState.CREATED),
        updated=outcomes.count(RowState.UPDATED),
        skipped=outcomes.count(RowState.SKIPPED),
        duplicate=outcomes.count(RowState.DUPLICATE),
        bad=outcomes.count(RowState.BAD),
        notes=_encode(progress.notes).decode(),
        hidden=sum(is_hidden(result) for result in progress.results),
        opted_out=progress.opted_out_count,
        is_last=progress.is_last,
        now=now,
    )
    return (0, 0) if row is None else (row["done_count"], row["row_count"])


async def count_hidden_rows(tx: Tx, owner: str, since: datetime) -> int:
    """Count the rows of a user's imports that told of a hidden lead; one transaction at a time."""
    await tx.execute(SQL.lock_hidden_rows, owner=owner)
    return int(await tx.fetch_value(SQL.count_hidden_rows, owner=owner, since=since))


async def advance_undo(tx: Tx, progress: UndoProgress, now: datetime) -> tuple[int, int]:
    """Record how far an undo is; return (rows undone, rows kept)."""
    row = await tx.fetch_one(
        SQL.advance_undo,
        id=progress.import_id,
        place=progress.position,
        undone=progress.undone_count,
        kept=progress.kept_count,
        is_last=progress.is_last,
        now=now,
    )
    return (0, 0) if row is None else (row["undone_count"], row["kept_count"])


async def finish_import(db: Reader, import_id: UUID, now: datetime) -> None:
    """Record that all rows of a file that a command reads are in."""
    await db.execute(SQL.finish_import, id=import_id, now=now)


async def fail_import(tx: Tx, import_id: UUID, code: str, now: datetime) -> None:
    """Record that an import failed, and why."""
    await tx.execute(SQL.fail_import, id=import_id, code=code, now=now)
