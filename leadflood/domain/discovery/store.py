"""Discovery runs and their records in the database."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.ports.people import PeopleQuery
from leadflood.domain.discovery.schemas import (
    Begun,
    DiscoveryRecord,
    DiscoveryRun,
    DiscoveryState,
    DiscoveryView,
    NewDiscovery,
    PageView,
    RecordFilter,
    RecordStatus,
    RecordView,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)


class Advance(msgspec.Struct, kw_only=True):
    """What a page changes of its run, with its records."""

    run: DiscoveryRun
    state: DiscoveryState
    next_page: int
    cursor: str | None = None
    code: str | None = None
    cost_micros: int = 0
    total_count: int | None = None
    lead_count: int = 0
    records: list[DiscoveryRecord] = []
    is_page: bool = True
    asked: str = ""
    ignored: tuple[str, ...] = ()

    def count(self, status: RecordStatus) -> int:
        """Tell how many records ended so."""
        return sum(record.status is status for record in self.records)


async def record_run(tx: Tx, new: NewDiscovery, now: datetime) -> bool:
    """Write a new discovery; False when its run has one already."""
    written = await tx.fetch_value(
        SQL.add_run,
        id=new.run_id,
        icp_id=new.icp_id,
        provider=new.provider,
        asked=msgspec.json.encode(new.query).decode(),
        wanted_count=new.wanted_count,
        ask_hash=new.ask_hash,
        now=now,
    )
    return written is not None


async def find_same(tx: Tx, ask_hash: bytes, since: datetime) -> Begun | None:
    """Find a search for the same since then, and keep equal requests waiting until we are done."""
    await tx.fetch(SQL.lock_ask, ask_hash=ask_hash)
    row = await tx.fetch_one(SQL.find_same, ask_hash=ask_hash, since=since)
    return None if row is None else Begun(run_id=row["run_id"], job_id=row["job_id"])


async def note_first_job(tx: Tx, run_id: UUID, job_id: UUID) -> None:
    """Keep which job brings the first page."""
    await tx.execute(SQL.note_first_job, id=run_id, job_id=job_id)


async def find_runs(db: Reader, run_ids: Iterable[UUID]) -> dict[UUID, DiscoveryRun]:
    """Tell how runs stand, by id."""
    rows = await db.fetch(SQL.find_runs, ids=list(set(run_ids)))
    return {row["id"]: _run(row) for row in rows}


async def lock_runs(tx: Tx, run_ids: Iterable[UUID]) -> dict[UUID, DiscoveryRun]:
    """Tell how runs stand and keep others from moving them."""
    rows = await tx.fetch(SQL.lock_runs, ids=sorted(set(run_ids)))
    return {row["id"]: _run(row) for row in rows}


async def leads_of_runs(
    db: Reader, run_ids: Iterable[UUID], lead_ids: Iterable[UUID]
) -> set[tuple[UUID, UUID]]:
    """Tell which (run, lead) exist already."""
    rows = await db.fetch(
        SQL.find_leads_of_runs, run_ids=list(set(run_ids)), lead_ids=list(set(lead_ids))
    )
    return {(row["run_id"], row["lead_id"]) for row in rows}


async def advance(tx: Tx, advances: Sequence[Advance], now: datetime) -> None:
    """Write the records of pages and where their runs go on."""
    records = [(one.run.id, record) for one in advances for record in one.records]
    if records:
        await tx.execute(
            SQL.add_records,
            run_ids=[run_id for run_id, _ in records],
            positions=[record.position for _, record in records],
            pages=[record.page for _, record in records],
            providers=[record.provider for _, record in records],
            provider_ids=[record.provider_id for _, record in records],
            statuses=[record.status.value for _, record in records],
            reasons=[record.reason for _, record in records],
            lead_ids=[record.lead_id for _, record in records],
            tolds=[record.told for _, record in records],
            now=now,
        )
    pages = [one for one in advances if one.is_page]
    if pages:
        await tx.execute(SQL.add_pages, now=now, **_page_columns(pages))
    await tx.execute(
        SQL.advance_runs,
        ids=[one.run.id for one in advances],
        states=[one.state.value for one in advances],
        codes=[one.code for one in advances],
        cursors=[one.cursor for one in advances],
        next_pages=[one.next_page for one in advances],
        record_counts=[len(one.records) for one in advances],
        lead_counts=[one.lead_count for one in advances],
        discovered_counts=[one.count(RecordStatus.DISCOVERED) for one in advances],
        duplicate_counts=[one.count(RecordStatus.DUPLICATE) for one in advances],
        rejected_counts=[one.count(RecordStatus.REJECTED) for one in advances],
        error_counts=[one.count(RecordStatus.ERROR) for one in advances],
        costs_micros=[one.cost_micros for one in advances],
        total_counts=[one.total_count for one in advances],
        now=now,
    )


async def find_view(db: Reader, run_id: UUID) -> DiscoveryView | None:
    """Tell how a discovery stands, if there is one."""
    row = await db.fetch_one(SQL.find_view, id=run_id)
    if row is None:
        return None
    return DiscoveryView(
        id=row["id"],
        icp_id=row["icp_id"],
        provider=row["provider"],
        query=_query(row),
        state=DiscoveryState(row["state"]),
        code=row["code"],
        page_count=row["next_page"] - 1,
        wanted_count=row["wanted_count"],
        lead_count=row["lead_count"],
        discovered_count=row["discovered_count"],
        duplicate_count=row["duplicate_count"],
        rejected_count=row["rejected_count"],
        error_count=row["error_count"],
        cost_micros=row["cost_micros"],
        total_count=row["total_count"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def list_pages(
    db: Reader, run_id: UUID, after: int = 0, limit: int = 100
) -> Sequence[PageView]:
    """List what was asked and answered, page by page, behind a page."""
    rows = await db.fetch(SQL.list_pages, run_id=run_id, after=after, limit=limit)
    return [
        PageView(**{**dict(row.items()), "ignored": tuple(filter(None, row["ignored"].split(",")))})
        for row in rows
    ]


async def inspect_records(
    db: Reader, run_id: UUID, wanted: RecordFilter, after: int, limit: int
) -> Sequence[RecordView]:
    """List records with what was said of them, behind a position."""
    rows = await db.fetch(
        SQL.inspect_records,
        run_id=run_id,
        after=after,
        limit=limit,
        status=None if wanted.status is None else wanted.status.value,
        page=wanted.page,
        owner=wanted.owner,
    )
    return [
        RecordView(
            position=row["position"],
            page=row["page"],
            provider_id=row["provider_id"],
            status=RecordStatus(row["status"]),
            reason=row["reason"],
            lead_id=row["lead_id"],
            said=_said(row),
        )
        for row in rows
    ]


def _said(row: Row) -> dict[str, str]:
    if row["fields"] is None:
        return msgspec.json.decode(row["told"] or "{}", type=dict[str, str])
    pairs = zip(row["fields"], row["values"], strict=True)
    return {field: _plain(value) for field, value in pairs}


def _plain(value: str) -> str:
    """Write a kept value for people: words without quotes, anything else as it is kept."""
    return msgspec.json.decode(value, type=str) if value.startswith('"') else value


def _page_columns(pages: Sequence[Advance]) -> Mapping[str, object]:
    return {
        "run_ids": [one.run.id for one in pages],
        "pages": [one.run.next_page for one in pages],
        "cursors": [one.run.cursor for one in pages],
        "askeds": [one.asked for one in pages],
        "ignoreds": [",".join(one.ignored) for one in pages],
        "next_cursors": [one.cursor for one in pages],
        "record_counts": [len(one.records) for one in pages],
        "discovered_counts": [one.count(RecordStatus.DISCOVERED) for one in pages],
        "duplicate_counts": [one.count(RecordStatus.DUPLICATE) for one in pages],
        "rejected_counts": [one.count(RecordStatus.REJECTED) for one in pages],
        "error_counts": [one.count(RecordStatus.ERROR) for one in pages],
        "costs_micros": [one.cost_micros for one in pages],
        "total_counts": [one.total_count for one in pages],
        "codes": [one.code for one in pages],
    }


def _query(row: Row) -> PeopleQuery:
    return msgspec.json.decode(row["query"], type=PeopleQuery)


def _run(row: Row) -> DiscoveryRun:
    return DiscoveryRun(
        id=row["id"],
        icp_id=row["icp_id"],
        provider=row["provider"],
        query=_query(row),
        state=DiscoveryState(row["state"]),
        cursor=row["cursor"],
        next_page=row["next_page"],
        next_position=row["next_position"],
        wanted_count=row["wanted_count"],
        lead_count=row["lead_count"],
    )
