"""Imports in the database: the file, its mapping, its progress and its end."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.imports.rules.consent_check import warn_of_unread
from leadflood.domain.imports.rules.consent_scan import list_unread_consent
from leadflood.domain.imports.rules.row_notes import summarize_notes
from leadflood.domain.imports.schemas.columns import Column, FileColumns, Subject
from leadflood.domain.imports.schemas.mappings import ImportMapping, ImportPlan
from leadflood.domain.imports.schemas.notes import NoteCount
from leadflood.domain.imports.schemas.rows import ReadCsv
from leadflood.domain.imports.schemas.views import (
    ImportCounts,
    ImportState,
    ImportView,
    NewImport,
    SameFile,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.text import make_storable

SQL = load_queries(__file__)

_decode_columns = msgspec.json.Decoder(tuple[Column, ...]).decode
_decode_notes = msgspec.json.Decoder(tuple[NoteCount, ...]).decode
_encode = msgspec.json.Encoder().encode


class StagedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose rows are staged.

    - `id`: the import's, later also its run's.
    - `name`, `sha256`, `byte_count`: the file.
    - `encoding`, `delimiter`, `sheet`, `sheets`, `columns`: how it is read.
    - `warnings`: what of that was guessed, and what was left out.
    - `owner`: the user whose it is; None: nobody's.
    - `made_by`: who uploaded it, as it is recorded.
    """

    id: UUID
    name: str
    sha256: bytes
    byte_count: int
    encoding: str
    delimiter: str
    sheet: str | None
    sheets: tuple[str, ...]
    columns: FileColumns
    warnings: tuple[str, ...]
    owner: str | None
    made_by: str


class CheckedMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping as its author wrote it, and the plan that it means."""

    mapping: ImportMapping
    plan: ImportPlan


class LockedImport(msgspec.Struct, frozen=True, kw_only=True):
    """An import that is locked until the end of the transaction.

    `checked` None: it is not mapped yet. `position` is the line of the last row that is done.
    `undo_visibility`: the leads that its undo may change. `notes`: those of the rows that are done.
    """

    view: ImportView
    checked: CheckedMapping | None
    position: int
    undo_visibility: Visibility = EVERYTHING
    notes: tuple[NoteCount, ...] = ()


async def add_import(
    tx: Tx, new: NewImport, file: ReadCsv, opted_out_count: int, now: datetime
) -> bool:
    """Add a file that a command reads; return False when its run has it already.

    `opted_out_count`: how many of its bad rows say no.
    """
    columns = [
        msgspec.structs.replace(column, guess=field)
        for column, field in zip(file.columns, file.fields, strict=True)
    ]
    added = await tx.fetch_value(
        SQL.add_import,
        run_id=new.run_id,
        name=make_storable(new.name),
        sha256=file.sha256,
        encoding=file.encoding,
        delimiter=file.delimiter,
        sheet=file.sheet,
        sheets=list(file.sheets),
        mapping=_encode(columns).decode(),
        subject=file.subject.value,
        warnings=[make_storable(warning) for warning in file.warnings],
        good_count=len(file.rows),
        bad_count=len(file.bad),
        opted_out_count=opted_out_count,
        icp_id=new.icp_id,
        now=now,
    )
    return added is not None


async def stage_file(tx: Tx, file: StagedFile, now: datetime) -> None:
    """Add a file that waits for its mapping; its rows follow."""
    await tx.execute(
        SQL.stage_import,
        id=file.id,
        name=file.name,
        sha256=file.sha256,
        encoding=file.encoding,
        delimiter=file.delimiter,
        sheet=file.sheet,
        sheets=list(file.sheets),
        columns=_encode(file.columns.columns).decode(),
        subject=file.columns.subject.value,
        owner=file.owner,
        made_by=file.made_by,
        byte_count=file.byte_count,
        warnings=list(file.warnings),
        now=now,
    )


async def record_row_counts(tx: Tx, import_id: UUID, good_count: int, bad_count: int) -> None:
    """Record how many rows a file has."""
    await tx.execute(
        SQL.record_row_counts, id=import_id, good_count=good_count, bad_count=bad_count
    )


async def lock_file(tx: Tx, sha256: bytes) -> None:
    """Lock a file's bytes: they are uploaded once at a time."""
    await tx.execute(SQL.lock_file, key=int.from_bytes(sha256[:8], "big", signed=True))


async def find_imports(
    db: Reader, ids: Sequence[UUID], visibility: Visibility
) -> dict[UUID, ImportView]:
    """Find imports by their ids."""
    rows = await db.fetch(SQL.find_imports, ids=list(ids), owner=visibility.owner)
    return {row["run_id"]: _view(row) for row in rows}


async def lock_import(
    tx: Tx, import_id: UUID, visibility: Visibility = EVERYTHING
) -> LockedImport | None:
    """Lock an import until the end of the transaction."""
    row = await tx.fetch_one(SQL.lock_import, id=import_id, owner=visibility.owner)
    if row is None:
        return None
    return LockedImport(
        view=_view(row),
        checked=_checked(row),
        position=row["place"],
        undo_visibility=Visibility(row["undo_owner"]),
        notes=_decode_notes(row["notes"]),
    )


async def find_plan(db: Reader, import_id: UUID) -> ImportPlan | None:
    """Find the plan of an import; None: it is not mapped yet."""
    rows = await db.fetch(SQL.find_imports, ids=[import_id], owner=None)
    checked = _checked(rows[0]) if rows else None
    return None if checked is None else checked.plan


async def list_ids(
    db: Reader,
    visibility: Visibility,
    state: ImportState | None,
    before: UUID | None,
    limit: int,
) -> list[UUID]:
    """List the ids of imports, newest first."""
    rows = await db.fetch(
        SQL.list_imports,
        owner=visibility.owner,
        state=None if state is None else state.value,
        before=before,
        limit=limit,
    )
    return [row["run_id"] for row in rows]


async def find_same_files(
    db: Reader, import_id: UUID, sha256: bytes, visibility: Visibility
) -> list[SameFile]:
    """Find the other imports of the same bytes, newest first."""
    rows = await db.fetch(SQL.find_same_files, sha256=sha256, id=import_id, owner=visibility.owner)
    return [
        SameFile(
            id=row["run_id"],
            name=row["name"],
            state=ImportState(row["state"]),
            created_at=row["created_at"],
        )
        for row in rows
    ]


async def find_waiting_file(
    db: Reader, sha256: bytes, sheet: str | None, owner: str | None
) -> UUID | None:
    """Find the newest import of the same bytes, sheet and owner that is not started yet."""
    import_id: UUID | None = await db.fetch_value(
        SQL.find_waiting_file, sha256=sha256, sheet=sheet, owner=owner
    )
    return import_id


async def count_waiting(db: Reader, owner: str) -> int:
    """Count a user's files that are not started yet."""
    count: int = await db.fetch_value(SQL.count_waiting, owner=owner)
    return count


async def record_mapping(
    tx: Tx, import_id: UUID, checked: CheckedMapping, icp_id: UUID | None
) -> None:
    """Record how a file's rows are to be read."""
    await tx.execute(
        SQL.record_mapping, id=import_id, plan=_encode(checked).decode(), icp_id=icp_id
    )


async def delete_stale_uploads(tx: Tx, before: datetime) -> int:
    """Delete files that nobody started, a few at a time; return how many."""
    ids = [row["run_id"] for row in await tx.fetch(SQL.list_stale_uploads, before=before)]
    if ids:
        await tx.execute(SQL.delete_staged_rows, ids=ids)
        await tx.execute(SQL.delete_imports, ids=ids)
    return len(ids)


def _checked(row: Row) -> CheckedMapping | None:
    return None if row["plan"] is None else msgspec.json.decode(row["plan"], type=CheckedMapping)


_COPIED = (
    "version",
    "name",
    "byte_count",
    "encoding",
    "delimiter",
    "sheet",
    "is_undoable",
    "icp_id",
    "owner",
    "made_by",
    "code",
    "created_at",
    "started_at",
    "ended_at",
    "job_id",
    "undo_job_id",
)


def _view(row: Row) -> ImportView:
    checked = _checked(row)
    columns = _decode_columns(row["mapping"])
    guesses = tuple(column.guess for column in columns)
    row_count = row["good_count"] + row["bad_count"]
    counts = _counts(row, row_count)
    done_count = row_count - counts.waiting
    columns = _decode_columns(row["mapping"])
    unread = _unread_consent(columns, checked)
    return ImportView(
        **{name: row[name] for name in _COPIED},
        id=row["run_id"],
        state=ImportState(row["state"]),
        sha256=row["sha256"].hex(),
        columns=columns,
        subject=Subject(row["subject"]),
        sheets=tuple(row["sheets"]),
        warnings=(*row["warnings"], *warn_of_unread(unread)),
        unread_consent_columns=unread,
        row_count=row_count,
        counts=counts,
        progress=round(done_count / row_count, 4) if row_count else 1.0,
        notes=summarize_notes(
            _decode_notes(row["notes"]), columns, checked.plan.fields if checked else guesses
        ),
        mapping=None if checked is None else checked.mapping,
        run_id=None if row["started_at"] is None else row["run_id"],
    )


def _unread_consent(columns: Sequence[Column], checked: CheckedMapping | None) -> tuple[str, ...]:
    if checked is None:
        return list_unread_consent(columns, [column.guess for column in columns], ())
    return list_unread_consent(columns, checked.plan.fields, checked.mapping.ignore_consent_columns)


def _counts(row: Row, row_count: int) -> ImportCounts:
    counts = {name: row[f"{name}_count"] for name in ("created", "updated", "duplicate", "skipped")}
    done_count = sum(counts.values()) + row["bad_count"]
    return ImportCounts(
        **counts,
        bad=row["bad_count"],
        waiting=max(row_count - done_count, 0),
        undone=row["undone_count"],
        kept=row["kept_count"],
        opted_out=row["opted_out_count"],
    )
