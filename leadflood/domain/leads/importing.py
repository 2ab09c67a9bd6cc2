"""Files on their way into the database: the file once a run, its rows in chunks."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads.schemas import BadRow, ImportCount, ImportRow, NewImport, ReadCsv
from leadflood.domain.leads.sql import SQL
from leadflood.engine.db.tx import Reader, Tx


async def record_import(tx: Tx, new: NewImport, read: ReadCsv, now: datetime) -> bool:
    """Write a file and its bad rows; False when the run has it already."""
    written = await tx.fetch_value(
        SQL.add_import,
        run_id=new.run_id,
        name=new.name.replace("\x00", ""),
        sha256=read.sha256,
        encoding=read.encoding,
        delimiter=read.delimiter,
        mapping=msgspec.json.encode(read.mapping).decode(),
        good_count=len(read.rows),
        bad_count=len(read.bad),
        now=now,
    )
    if written is not None and read.bad:
        await record_rows(tx, new.run_id, read.bad, [None] * len(read.bad))
    return written is not None


async def record_rows(
    tx: Tx,
    run_id: UUID,
    rows: Sequence[ImportRow | BadRow],
    lead_ids: Sequence[UUID | None],
) -> None:
    """Write what became of rows: a lead, or a reason."""
    await tx.execute(
        SQL.add_import_rows,
        run_id=run_id,
        numbers=[row.number for row in rows],
        lead_ids=list(lead_ids),
        reasons=[row.reason if isinstance(row, BadRow) else None for row in rows],
        raws=[_storable(row.raw) for row in rows],
    )


async def numbers_in(db: Reader, run_id: UUID, numbers: Sequence[int]) -> set[int]:
    """Tell which rows are in already."""
    rows = await db.fetch(SQL.find_imported, run_id=run_id, numbers=list(numbers), lead_ids=[])
    return {row["number"] for row in rows}


async def leads_in(db: Reader, run_id: UUID, lead_ids: Sequence[UUID]) -> set[UUID]:
    """Tell which leads the file has brought already."""
    rows = await db.fetch(SQL.find_imported, run_id=run_id, numbers=[], lead_ids=list(lead_ids))
    return {row["lead_id"] for row in rows}


async def count(db: Reader, run_id: UUID) -> ImportCount:
    """Tell how much of a file is in."""
    row = await db.fetch_one(SQL.count_imported, run_id=run_id)
    if row is None:
        return ImportCount(0, 0, 0)
    return ImportCount(row["rows"], row["leads"], row["bad"])


async def list_leads(db: Reader, run_id: UUID) -> dict[int, UUID]:
    """Tell which lead each usable row of a file is, by the row's number."""
    rows = await db.fetch(SQL.list_import_rows, run_id=run_id)
    return {row["number"]: row["lead_id"] for row in rows if row["lead_id"] is not None}


def _storable(cells: Sequence[str]) -> str:
    clean = [cell.encode("utf-8", "replace").decode().replace("\x00", "") for cell in cells]
    return msgspec.json.encode(clean).decode()
