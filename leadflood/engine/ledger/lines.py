"""Ledger lines as they are read: listed, or summed by provider and state."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row
from leadflood.engine.net.ledger_port import (
    LineState,
)

SQL = load_queries(__file__)
_FIRST = UUID(int=0)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger line as it is read. `settled_micros` is None while it is not settled."""

    id: UUID
    provider: str
    operation: str
    run_id: UUID | None
    job_id: UUID | None
    state: LineState
    reserved_micros: int
    settled_micros: int | None
    subjects: tuple[str, ...]
    shares: tuple[int, ...]
    outcome: str | None
    created_at: datetime
    settled_at: datetime | None


class LedgerTotal(msgspec.Struct, frozen=True):
    """The lines of a provider in one state, summed."""

    provider: str
    state: LineState
    lines: int
    reserved_micros: int
    settled_micros: int


async def sum_lines(db: Reader, run_id: UUID | None = None) -> list[LedgerTotal]:
    """Sum the money by provider and state, of one run or of all."""
    rows = await db.fetch(SQL.sum_lines, run_id=run_id)
    return [
        LedgerTotal(provider, LineState(state), lines, reserved, settled)
        for provider, state, lines, reserved, settled in rows
    ]


async def list_lines(
    db: Reader,
    run_id: UUID | None = None,
    after_id: UUID = _FIRST,
    at_most: int = 10_000,
) -> list[Line]:
    """List a page of the ledger, oldest first, after a line."""
    rows = await db.fetch(SQL.list_lines, run_id=run_id, after_id=after_id, at_most=at_most)
    return [_read_line(row) for row in rows]


def _read_line(row: Row) -> Line:
    return Line(
        id=row["id"],
        provider=row["provider"],
        operation=row["operation"],
        run_id=row["run_id"],
        job_id=row["job_id"],
        state=LineState(row["state"]),
        reserved_micros=row["reserved_micros"],
        settled_micros=row["settled_micros"],
        subjects=tuple(row["subjects"]),
        shares=tuple(row["shares"]),
        outcome=row["outcome"],
        created_at=row["created_at"],
        settled_at=row["settled_at"],
    )
