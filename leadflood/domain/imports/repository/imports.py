"""Files in the database: staged rows, what became of each, and where an import stands."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.imports.rules.csv_reader import Record
from leadflood.domain.imports.schemas import (
    Column,
    ImportCounts,
    ImportMapping,
    ImportState,
    ImportView,
    Plan,
    RowEnd,
    RowState,
    RowView,
    SameFile,
    StagedRow,
    StoredFile,
)
from leadflood.domain.leads.schemas import BadRow, IdentityKey, ImportRow, NewImport, ReadCsv
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.text import make_storable

SQL = load_queries(__file__)

BETWEEN = "\x1e"
WITHIN = "\x1f"
_columns = msgspec.json.Decoder(tuple[Column, ...]).decode
_cells = msgspec.json.Decoder(tuple[str, ...]).decode
_encode = msgspec.json.Encoder().encode


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping as its author wrote it and as it was checked."""

    mapping: ImportMapping
    plan: Plan


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """An import that is held until the end of the transaction; `told` None: not mapped yet."""

    view: ImportView
    told: Told | None
    place: int


class Owner(msgspec.Struct, frozen=True):
    """Whose a lead named by a key is; `owner` None: nobody's."""

    lead_id: UUID
    owner: str | None


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import is after a part of it."""

    import_id: UUID
    place: int
    ends: Sequence[RowEnd]
    is_last: bool


class UndoAdvance(msgspec.Struct, frozen=True, kw_only=True):
    """How far an undo is after a part of it."""

    import_id: UUID
    place: int
    undone_count: int
    kept_count: int
    is_last: bool


async def record_import(tx: Tx, new: NewImport, read: ReadCsv, now: datetime) -> bool:
    """Write a file that a command reads, with its bad rows; False when the run has it already."""
    columns = [
        Column(name=match.header, header=match.header, guess=match.field) for match in read.mapping
    ]
    written = await tx.fetch_value(
        SQL.add_import,
        run_id=new.run_id,
        name=make_storable(new.name),
        sha256=read.sha256,
        encoding=read.encoding,
        delimiter=read.delimiter,
        mapping=_encode(columns).decode(),
        good_count=len(read.rows),
        bad_count=len(read.bad),
        icp_id=new.icp_id,
        now=now,
    )
    if written is not None and read.bad:
        ends = [
            RowEnd(number=row.number, outcome=RowState.BAD, reason=row.reason) for row in read.bad
        ]
        await add_rows(tx, new.run_id, read.bad, ends)
    return written is not None


async def add_rows(
    tx: Tx, import_id: UUID, rows: Sequence[ImportRow | BadRow], ends: Sequence[RowEnd]
) -> None:
    """Write rows that were not staged, with their ends."""
    await tx.execute(
        SQL.add_import_rows,
        run_id=import_id,
        raws=[encode_cells(row.raw) for row in rows],
        **_ends(ends),
    )


async def end_rows(tx: Tx, import_id: UUID, ends: Sequence[RowEnd]) -> None:
    """Write what became of staged rows."""
    await tx.execute(SQL.end_import_rows, run_id=import_id, **_ends(ends))


async def numbers_in(db: Reader, import_id: UUID, numbers: Sequence[int]) -> set[int]:
    """Tell which rows have their end already."""
    rows = await db.fetch(SQL.find_imported_numbers, run_id=import_id, numbers=list(numbers))
    return {row["number"] for row in rows}


async def leads_in(db: Reader, import_id: UUID, lead_ids: Iterable[UUID]) -> set[UUID]:
    """Tell which leads the file has brought already."""
    rows = await db.fetch(SQL.find_imported_leads, run_id=import_id, lead_ids=list(set(lead_ids)))
    return {row["lead_id"] for row in rows}


async def owners_of(db: Reader, keys: Iterable[IdentityKey]) -> dict[IdentityKey, Owner]:
    """Tell which leads keys name now, and whose they are."""
    ordered = sorted(set(keys))
    if not ordered:
        return {}
    rows = await db.fetch(
        SQL.find_lead_owners,
        kinds=[key.kind for key in ordered],
        values=[key.value for key in ordered],
    )
    return {
        IdentityKey(row["kind"], row["value"]): Owner(row["lead_id"], row["owner"]) for row in rows
    }


async def mark(tx: Tx) -> None:
    """Remember this place of the transaction."""
    await tx.execute(SQL.mark_chunk)


async def go_back(tx: Tx) -> None:
    """Take back what was written since the mark."""
    await tx.execute(SQL.give_chunk_back)


async def made_companies(db: Reader, ids: Iterable[UUID], now: datetime) -> set[UUID]:
    """Tell which companies were made at this very moment."""
    rows = await db.fetch(SQL.find_made_companies, ids=list(set(ids)), now=now)
    return {row["id"] for row in rows}


async def list_leads(db: Reader, import_id: UUID) -> dict[int, UUID]:
    """Tell which lead each usable row of a file is, by the row's number."""
    rows = await db.fetch(SQL.list_import_rows, run_id=import_id)
    return {row["number"]: row["lead_id"] for row in rows if row["lead_id"] is not None}


async def stage_file(tx: Tx, file: StoredFile, now: datetime) -> None:
    """Write a file; its rows follow."""
    await tx.execute(
        SQL.stage_import,
        id=file.id,
        name=file.name,
        sha256=file.sha256,
        encoding=file.encoding,
        delimiter=file.delimiter,
        columns=_encode(file.columns).decode(),
        owner=file.owner,
        made_by=file.made_by,
        byte_count=file.byte_count,
        warnings=list(file.warnings),
        now=now,
    )


async def stage_rows(tx: Tx, import_id: UUID, rows: Sequence[StagedRow]) -> None:
    """Write rows that wait for their end."""
    await tx.execute(
        SQL.stage_rows,
        run_id=import_id,
        numbers=[row.number for row in rows],
        raws=[row.raw for row in rows],
        reasons=[row.reason for row in rows],
    )


async def lock_bytes(tx: Tx, sha256: bytes) -> None:
    """Let one upload of the same bytes in at a time."""
    await tx.execute(SQL.lock_file, key=int.from_bytes(sha256[:8], "big", signed=True))


async def find(db: Reader, ids: Sequence[UUID], owner: str | None) -> dict[UUID, ImportView]:
    """Tell how imports stand; of one owner only where that is named."""
    rows = await db.fetch(SQL.find_imports, ids=list(ids), owner=owner)
    return {row["run_id"]: _view(row) for row in rows}


async def lock(tx: Tx, import_id: UUID, owner: str | None = None) -> Locked | None:
    """Hold an import until the end of the transaction; None: there is none (of this owner)."""
    row = await tx.fetch_one(SQL.lock_import, id=import_id, owner=owner)
    if row is None:
        return None
    return Locked(view=_view(row), told=_told(row), place=row["place"])


async def find_plan(db: Reader, import_id: UUID) -> Plan | None:
    """Tell how an import's rows are to be read."""
    rows = await db.fetch(SQL.find_imports, ids=[import_id], owner=None)
    told = _told(rows[0]) if rows else None
    return None if told is None else told.plan


async def list_ids(
    db: Reader, owner: str | None, state: ImportState | None, before: UUID | None, limit: int
) -> list[UUID]:
    """List imports, newest first."""
    rows = await db.fetch(
        SQL.list_imports,
        owner=owner,
        state=None if state is None else state.value,
        before=before,
        limit=limit,
    )
    return [row["run_id"] for row in rows]


async def find_same(
    db: Reader, import_id: UUID, sha256: bytes, owner: str | None
) -> list[tuple[SameFile, str | None]]:
    """Tell the other imports of the same bytes, newest first, each with whose it is."""
    rows = await db.fetch(SQL.find_same_files, sha256=sha256, id=import_id, owner=owner)
    return [
        (
            SameFile(
                id=row["run_id"],
                name=row["name"],
                state=ImportState(row["state"]),
                created_at=row["created_at"],
            ),
            row["owner"],
        )
        for row in rows
    ]


async def write_plan(tx: Tx, import_id: UUID, told: Told, icp_id: UUID | None) -> None:
    """Write how a file's rows are to be read."""
    await tx.execute(SQL.write_plan, id=import_id, plan=encode_told(told), icp_id=icp_id)


async def begin(tx: Tx, import_id: UUID, told: Told, icp_id: UUID | None, now: datetime) -> None:
    """Say that a file's rows are read from now on."""
    await tx.execute(
        SQL.begin_import,
        id=import_id,
        plan=encode_told(told),
        icp_id=icp_id,
        now=now,
    )


async def began(tx: Tx, import_id: UUID, job_id: UUID) -> None:
    """Remember the job that reads the rows."""
    await tx.execute(SQL.name_import_job, id=import_id, job_id=job_id)


async def begin_undo(tx: Tx, import_id: UUID, job_id: UUID) -> None:
    """Say that what a file brought is to go again."""
    await tx.execute(SQL.begin_undo, id=import_id, job_id=job_id)


async def advance_undo(tx: Tx, done: UndoAdvance, now: datetime) -> tuple[int, int]:
    """Write how far an undo is; tell (rows undone, rows kept)."""
    row = await tx.fetch_one(
        SQL.advance_undo,
        id=done.import_id,
        place=done.place,
        undone=done.undone_count,
        kept=done.kept_count,
        is_last=done.is_last,
        now=now,
    )
    return (0, 0) if row is None else (row["undone_count"], row["kept_count"])


async def finish(db: Reader, import_id: UUID, now: datetime) -> None:
    """Say that a file read by a command is in."""
    await db.execute(SQL.finish_import, id=import_id, now=now)


async def fail(tx: Tx, import_id: UUID, code: str, now: datetime) -> None:
    """Say that an import stopped."""
    await tx.execute(SQL.fail_import, id=import_id, code=code, now=now)


async def count_staged(tx: Tx, import_id: UUID, good_count: int, bad_count: int) -> None:
    """Write how many rows a file has."""
    await tx.execute(SQL.count_staged, id=import_id, good_count=good_count, bad_count=bad_count)


def encode_told(told: Told) -> str:
    """Write a mapping as it is kept."""
    return _encode(told).decode()


async def advance(tx: Tx, done: Advance, now: datetime) -> tuple[int, int]:
    """Write how far an import is; tell (rows with their end, rows)."""
    counted = [end.outcome for end in done.ends]
    row = await tx.fetch_one(
        SQL.advance_import,
        id=done.import_id,
        place=done.place,
        created=counted.count(RowState.CREATED),
        updated=counted.count(RowState.UPDATED),
        skipped=counted.count(RowState.SKIPPED),
        duplicate=counted.count(RowState.DUPLICATE),
        bad=counted.count(RowState.BAD),
        is_last=done.is_last,
        now=now,
    )
    return (0, 0) if row is None else (row["done_count"], row["row_count"])


async def read_waiting(db: Reader, import_id: UUID, after: int, limit: int) -> tuple[Record, ...]:
    """Read the next rows without an end."""
    rows = await db.fetch(SQL.read_waiting_rows, run_id=import_id, after=after, limit=limit)
    return tuple([Record(row["number"], _cells(row["raw"])) for row in rows])


async def list_rows(
    db: Reader, import_id: UUID, state: RowState | None, after: int, limit: int
) -> list[RowView]:
    """List rows in the order of the file, of one state or all."""
    given = {"run_id": import_id, "after": after, "limit": limit}
    if state is None:
        found = await db.fetch(SQL.list_rows, **given)
    elif state is RowState.WAITING:
        found = await db.fetch(SQL.read_waiting_rows, **given)
        return [
            RowView(
                number=row["number"],
                state=RowState.WAITING,
                lead_id=None,
                reason=None,
                cells=_cells(row["raw"]),
            )
            for row in found
        ]
    else:
        found = await db.fetch(SQL.list_rows_of, outcome=state.value, **given)
    return [
        RowView(
            number=row["number"],
            state=RowState(row["outcome"] or RowState.WAITING),
            lead_id=row["lead_id"],
            reason=row["reason"],
            cells=_cells(row["raw"]),
        )
        for row in found
    ]


async def forget_uploads(db: Tx, before: datetime) -> int:
    """Forget files that nobody started, a few at a time; tell how many."""
    ids = [row["run_id"] for row in await db.fetch(SQL.list_stale_uploads, before=before)]
    if ids:
        await db.execute(SQL.drop_staged_rows, ids=ids)
        await db.execute(SQL.drop_imports, ids=ids)
    return len(ids)


def encode_cells(cells: Sequence[str]) -> str:
    """Write a row's cells as they are kept."""
    return _encode([make_storable(cell) for cell in cells]).decode()


def _ends(ends: Sequence[RowEnd]) -> dict[str, object]:
    return {
        "numbers": [end.number for end in ends],
        "outcomes": [end.outcome.value for end in ends],
        "lead_ids": [end.lead_id for end in ends],
        "reasons": [end.reason for end in ends],
        "company_ids": [end.company_id for end in ends],
        "made_companies": [end.made_company for end in ends],
        "new_keys": [BETWEEN.join(end.new_keys) for end in ends],
        "new_tags": [BETWEEN.join(end.new_tags) for end in ends],
        "merged": [BETWEEN.join(map(str, end.merged)) for end in ends],
    }


def _told(row: Row) -> Told | None:
    return None if row["plan"] is None else msgspec.json.decode(row["plan"], type=Told)


def _view(row: Row) -> ImportView:
    told = _told(row)
    rows = row["good_count"] + row["bad_count"]
    ended = row["created_count"] + row["updated_count"] + row["skipped_count"]
    done = ended + row["duplicate_count"] + row["bad_count"]
    is_started = row["started_at"] is not None
    return ImportView(
        id=row["run_id"],
        version=row["version"],
        state=ImportState(row["state"]),
        name=row["name"],
        sha256=row["sha256"].hex(),
        byte_count=row["byte_count"],
        encoding=row["encoding"],
        delimiter=row["delimiter"],
        columns=_columns_of(row["mapping"]),
        warnings=tuple(row["warnings"]),
        row_count=rows,
        counts=ImportCounts(
            created=row["created_count"],
            updated=row["updated_count"],
            duplicate=row["duplicate_count"],
            skipped=row["skipped_count"],
            bad=row["bad_count"],
            waiting=max(rows - done, 0),
            undone=row["undone_count"],
            kept=row["kept_count"],
        ),
        progress=round(done / rows, 4) if rows else 1.0,
        is_undoable=row["is_undoable"],
        mapping=None if told is None else told.mapping,
        icp_id=row["icp_id"],
        owner=row["owner"],
        made_by=row["made_by"],
        code=row["code"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        job_id=row["job_id"],
        undo_job_id=row["undo_job_id"],
        run_id=row["run_id"] if is_started else None,
    )


def _columns_of(text: str) -> tuple[Column, ...]:
    """Read a file's columns; imports of earlier releases keep pairs of header and field."""
    try:
        return _columns(text)
    except msgspec.ValidationError:
        pairs = msgspec.json.decode(text)
        return tuple(
            Column(name=pair["header"], header=pair["header"], guess=pair["field"])
            for pair in pairs
        )
