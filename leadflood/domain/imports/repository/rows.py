"""Rows of imports in the database: as they stand in the file, and what became of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

import msgspec

from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, RowResult, RowState, RowView
from leadflood.domain.leads.schemas.identity import IdentityKey
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.text import make_storable

SQL = load_queries(__file__)

_ITEM_SEPARATOR = "\x1e"
_KEY_SEPARATOR = "\x1f"
_decode_cells = msgspec.json.Decoder(tuple[str, ...]).decode
_encode = msgspec.json.Encoder().encode


class StagedRow(msgspec.Struct, frozen=True):
    """A row that waits, its cells in `raw`, or one whose syntax is broken (`reason`)."""

    number: int
    raw: str
    reason: str | None = None


class UndoRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that brought something.

    - `number`: the line it starts on.
    - `was_kept`: whether an earlier undo kept it.
    - `lead_id`, `made_lead`: the lead that it names, and whether that is the row's own.
    - `company_id`: the company that it names.
    - `new_keys`, `new_tags`, `merged`: what its lead got by it.
    """

    number: int
    was_kept: bool
    lead_id: UUID
    made_lead: bool
    company_id: UUID | None
    new_keys: tuple[IdentityKey, ...]
    new_tags: tuple[str, ...]
    merged: tuple[UUID, ...]


def stage(records: Iterable[Record]) -> Iterator[StagedRow]:
    """Return records in the form in which they are stored."""
    for record in records:
        yield StagedRow(record.number, _encode_cells(record.cells), record.problem)


async def stage_rows(tx: Tx, import_id: UUID, rows: Sequence[StagedRow]) -> None:
    """Add rows that wait for their outcome."""
    await tx.execute(
        SQL.stage_rows,
        run_id=import_id,
        numbers=[row.number for row in rows],
        raws=[row.raw for row in rows],
        reasons=[row.reason for row in rows],
    )


async def add_rows(
    tx: Tx, import_id: UUID, rows: Sequence[ImportRow | BadRow], results: Sequence[RowResult]
) -> None:
    """Add rows that were not staged, with their outcomes."""
    await tx.execute(
        SQL.add_import_rows,
        run_id=import_id,
        raws=[_encode_cells(row.raw) for row in rows],
        **_columns_of(results),
    )


async def record_results(tx: Tx, import_id: UUID, results: Sequence[RowResult]) -> None:
    """Record what became of staged rows."""
    await tx.execute(SQL.record_results, run_id=import_id, **_columns_of(results))


async def find_done_numbers(db: Reader, import_id: UUID, numbers: Sequence[int]) -> set[int]:
    """Find which rows have their outcome already."""
    rows = await db.fetch(SQL.find_done_numbers, run_id=import_id, numbers=list(numbers))
    return {row["number"] for row in rows}


async def find_imported_leads(db: Reader, import_id: UUID, lead_ids: Iterable[UUID]) -> set[UUID]:
    """Find which leads the file has brought already."""
    ids = list(set(lead_ids))
    if not ids:
        return set()
    rows = await db.fetch(SQL.find_imported_leads, run_id=import_id, lead_ids=ids)
    return {row["lead_id"] for row in rows}


async def list_leads(db: Reader, import_id: UUID) -> dict[int, UUID]:
    """List the lead of each usable row by the row's number."""
    rows = await db.fetch(SQL.list_leads, run_id=import_id)
    return {row["number"]: row["lead_id"] for row in rows if row["lead_id"] is not None}


async def list_waiting(db: Reader, import_id: UUID, after: int, limit: int) -> tuple[Record, ...]:
    """List the next rows without an outcome."""
    rows = await db.fetch(SQL.list_waiting, run_id=import_id, after=after, limit=limit)
    return tuple([Record(row["number"], _decode_cells(row["raw"])) for row in rows])


async def list_broken(
    db: Reader, import_id: UUID, after: int, last: int, limit: int
) -> tuple[Record, ...]:
    """List the rows of a range of lines whose syntax is broken."""
    rows = await db.fetch(SQL.list_broken, run_id=import_id, after=after, last=last, limit=limit)
    return tuple([Record(row["number"], _decode_cells(row["raw"]), row["reason"]) for row in rows])


async def list_rows(
    db: Reader, import_id: UUID, state: RowState | None, after: int, limit: int
) -> list[RowView]:
    """List rows in the order of the file, of one state or all."""
    page = {"run_id": import_id, "after": after, "limit": limit}
    if state is None:
        return [_view(row) for row in await db.fetch(SQL.list_rows, **page)]
    if state is RowState.WAITING:
        records = await list_waiting(db, import_id, after, limit)
        return [
            RowView(
                number=record.number, state=state, lead_id=None, reason=None, cells=record.cells
            )
            for record in records
        ]
    rows = await db.fetch(SQL.list_rows_of, outcome=state.value, **page)
    return [_view(row) for row in rows]


async def list_bad_rows(db: Reader, import_id: UUID, after: int, limit: int) -> list[RowView]:
    """List the next rows that cannot be used."""
    return await list_rows(db, import_id, RowState.BAD, after, limit)


async def list_faulty_rows(db: Reader, import_id: UUID, after: int, limit: int) -> list[RowView]:
    """List the next rows that cannot be used, or some of whose cells have a note."""
    page = {"run_id": import_id, "after": after, "limit": limit}
    return [_view(row) for row in await db.fetch(SQL.list_faulty_rows, **page)]


async def list_rows_to_undo(db: Reader, import_id: UUID, before: int, limit: int) -> list[UndoRow]:
    """List the next rows that brought something, from the end of the file."""
    rows = await db.fetch(SQL.list_rows_to_undo, run_id=import_id, before=before, limit=limit)
    return [
        UndoRow(
            number=row["number"],
            was_kept=row["was_kept"],
            lead_id=row["lead_id"],
            made_lead=row["made_lead"],
            company_id=row["company_id"],
            new_keys=tuple(_decode_key(text) for text in row["new_keys"]),
            new_tags=tuple(row["new_tags"]),
            merged=tuple(row["merged"]),
        )
        for row in rows
    ]


async def find_kept_leads(db: Reader, import_id: UUID, lead_ids: Iterable[UUID]) -> set[UUID]:
    """Find which of these leads an undo of the import has kept."""
    rows = await db.fetch(SQL.find_kept_leads, run_id=import_id, lead_ids=list(lead_ids))
    return {row["lead_id"] for row in rows}


async def find_obstacles(
    db: Reader,
    import_id: UUID,
    lead_ids: Iterable[UUID],
    merged_ids: Iterable[UUID],
    owner: str | None,
) -> dict[UUID, str]:
    """Find why leads that an import made cannot go again: the most important reason of each.

    `merged_ids` are those whose merges go with the rows that caused them.
    """
    rows = await db.fetch(
        SQL.find_obstacles,
        lead_ids=list(lead_ids),
        merged_ids=list(merged_ids),
        run_id=import_id,
        owner=owner,
    )
    obstacles: dict[UUID, str] = {}
    for row in rows:
        obstacles.setdefault(row["lead_id"], row["obstacle"])
    return obstacles


async def find_pointers(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Find what these leads are merged into."""
    rows = await db.fetch(SQL.find_pointers, lead_ids=list(lead_ids))
    return {row["id"]: row["merged_into"] for row in rows}


async def record_undone(
    tx: Tx, import_id: UUID, numbers: Sequence[int], kept: Mapping[int, str]
) -> None:
    """Record what an undo made of rows; `kept` are the reasons of those that it kept."""
    outcomes = [RowState.KEPT if number in kept else RowState.UNDONE for number in numbers]
    await tx.execute(
        SQL.record_undone,
        run_id=import_id,
        numbers=list(numbers),
        outcomes=[outcome.value for outcome in outcomes],
        reasons=[kept.get(number) for number in numbers],
    )


def _encode_cells(cells: Sequence[str]) -> str:
    return _encode([make_storable(cell) for cell in cells]).decode()


def _decode_key(text: str) -> IdentityKey:
    kind, _, value = text.partition(_KEY_SEPARATOR)
    return IdentityKey(kind, value)


def _columns_of(results: Sequence[RowResult]) -> dict[str, object]:
    return {
        "numbers": [result.number for result in results],
        "outcomes": [result.outcome.value for result in results],
        "lead_ids": [result.lead_id for result in results],
        "reasons": [result.reason for result in results],
        "made_leads": [result.made_lead for result in results],
        "company_ids": [result.company_id for result in results],
        "made_companies": [result.made_company for result in results],
        "new_keys": [
            _join(f"{key.kind}{_KEY_SEPARATOR}{key.value}" for key in result.new_keys)
            for result in results
        ],
        "new_tags": [_join(result.new_tags) for result in results],
        "merged": [_join(map(str, result.merged)) for result in results],
        "notes": [_join(map(make_storable, result.notes)) for result in results],
        "owners": [result.owner for result in results],
    }


def _join(texts: Iterable[str]) -> str:
    return _ITEM_SEPARATOR.join(texts)


def _view(row: Row) -> RowView:
    return RowView(
        number=row["number"],
        state=RowState(row["outcome"] or RowState.WAITING),
        lead_id=row["lead_id"],
        reason=row["reason"],
        cells=_decode_cells(row["raw"]),
        notes=tuple(row["notes"]),
    )
