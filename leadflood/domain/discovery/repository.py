"""Discovery runs and their records in the database."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.ports.people import PeopleQuery
from leadflood.domain.discovery.rules import UNREADABLE
from leadflood.domain.discovery.schemas import (
    DiscoveryRecord,
    DiscoveryRun,
    DiscoveryRunFilter,
    DiscoveryRunSummary,
    DiscoveryState,
    DiscoveryView,
    EarlierDiscovery,
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
    """The change of a run by a page, with its records."""

    run: DiscoveryRun
    state: DiscoveryState
    next_page: int
    stale_page_count: int = 0
    cursor: str | None = None
    code: str | None = None
    page_code: str | None = None
    cost_micros: int = 0
    total_count: int | None = None
    lead_count: int = 0
    records: list[DiscoveryRecord] = []
    is_page: bool = True
    request: str = ""
    ignored: tuple[str, ...] = ()

    def count(self, status: RecordStatus) -> int:
        """Return how many records have this status."""
        return sum(record.status is status for record in self.records)


async def record_run(tx: Tx, new: NewDiscovery, now: datetime) -> bool:
    """Record a new discovery; False when its run has one already."""
    written = await tx.fetch_value(
        SQL.add_run,
        id=new.run_id,
        icp_id=new.icp_id,
        provider=new.provider,
        people_query=msgspec.json.encode(new.query).decode(),
        wanted_count=new.wanted_count,
        request_hash=new.request_hash,
        owner=new.owner,
        now=now,
    )
    return written is not None


async def find_earlier(tx: Tx, request_hash: bytes, since: datetime) -> EarlierDiscovery | None:
    """Find a search for the same since then; equal requests wait until the transaction ends."""
    await tx.fetch(SQL.lock_request, request_hash=request_hash)
    row = await tx.fetch_one(
        SQL.find_earlier, request_hash=request_hash, since=since, unreadable=UNREADABLE
    )
    return None if row is None else EarlierDiscovery(run_id=row["run_id"], job_id=row["job_id"])


async def record_first_job(tx: Tx, run_id: UUID, job_id: UUID) -> None:
    """Record which job brings the first page."""
    await tx.execute(SQL.record_first_job, id=run_id, job_id=job_id)


async def find_runs(db: Reader, run_ids: Iterable[UUID]) -> dict[UUID, DiscoveryRun]:
    """Return runs as they stand, by id."""
    rows = await db.fetch(SQL.find_runs, ids=list(set(run_ids)))
    return {row["id"]: _run(row) for row in rows}


async def lock_runs(tx: Tx, run_ids: Iterable[UUID]) -> dict[UUID, DiscoveryRun]:
    """Return runs as they stand, locked against others."""
    rows = await tx.fetch(SQL.lock_runs, ids=sorted(set(run_ids)))
    return {row["id"]: _run(row) for row in rows}


async def find_leads_of_runs(
    db: Reader, run_ids: Iterable[UUID], lead_ids: Iterable[UUID]
) -> set[tuple[UUID, UUID]]:
    """Return which pairs of run and lead exist already."""
    rows = await db.fetch(
        SQL.find_leads_of_runs, run_ids=list(set(run_ids)), lead_ids=list(set(lead_ids))
    )
    return {(row["run_id"], row["lead_id"]) for row in rows}


async def record_advances(tx: Tx, advances: Sequence[Advance], now: datetime) -> None:
    """Record pages with their records, and where their runs go on."""
    await _add_records(tx, advances, now)
    pages = [advance for advance in advances if advance.is_page]
    if pages:
        await tx.execute(SQL.add_pages, now=now, **_page_columns(pages))
    await tx.execute(
        SQL.advance_runs,
        ids=[advance.run.id for advance in advances],
        states=[advance.state.value for advance in advances],
        codes=[advance.code for advance in advances],
        cursors=[advance.cursor for advance in advances],
        next_pages=[advance.next_page for advance in advances],
        stale_page_counts=[advance.stale_page_count for advance in advances],
        record_counts=[len(advance.records) for advance in advances],
        lead_counts=[advance.lead_count for advance in advances],
        discovered_counts=[advance.count(RecordStatus.DISCOVERED) for advance in advances],
        duplicate_counts=[advance.count(RecordStatus.DUPLICATE) for advance in advances],
        rejected_counts=[advance.count(RecordStatus.REJECTED) for advance in advances],
        error_counts=[advance.count(RecordStatus.ERROR) for advance in advances],
        costs_micros=[advance.cost_micros for advance in advances],
        total_counts=[advance.total_count for advance in advances],
        now=now,
    )


async def _add_records(tx: Tx, advances: Sequence[Advance], now: datetime) -> None:
    records = [(advance.run.id, record) for advance in advances for record in advance.records]
    if not records:
        return
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
        excerpts=[record.excerpt for _, record in records],
        now=now,
    )


async def find_view(db: Reader, run_id: UUID) -> DiscoveryView | None:
    """Find a discovery as it stands."""
    row = await db.fetch_one(SQL.find_view, id=run_id, unreadable=UNREADABLE)
    if row is None:
        return None
    values = {
        **dict(row.items()),
        "query": _query(row),
        "state": DiscoveryState(row["state"]),
        "unreadable_pages": tuple(row["unreadable_pages"]),
    }
    return DiscoveryView(**values)


async def list_discovery_runs(
    db: Reader, run_filter: DiscoveryRunFilter, before: UUID | None, limit: int
) -> list[DiscoveryRunSummary]:
    """List discovery runs, newest first, behind a position."""
    params = msgspec.structs.asdict(run_filter)
    if run_filter.icp_ids is not None:
        params["icp_ids"] = list(run_filter.icp_ids)
    rows = await db.fetch(SQL.list_discovery_runs, **params, before=before, limit=limit)
    return [DiscoveryRunSummary(**dict(row.items())) for row in rows]


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
    db: Reader, run_id: UUID, record_filter: RecordFilter, after: int, limit: int
) -> Sequence[RecordView]:
    """List records behind a position, with what their source says of the person."""
    rows = await db.fetch(
        SQL.inspect_records,
        run_id=run_id,
        after=after,
        limit=limit,
        status=None if record_filter.status is None else record_filter.status.value,
        page=record_filter.page,
        owner=record_filter.visibility.owner,
    )
    return [
        RecordView(
            position=row["position"],
            page=row["page"],
            provider_id=row["provider_id"],
            status=RecordStatus(row["status"]),
            reason=row["reason"],
            lead_id=row["lead_id"],
            said=_values(row),
        )
        for row in rows
    ]


def _values(row: Row) -> dict[str, str]:
    if row["fields"] is None:
        return msgspec.json.decode(row["refused_text"] or "{}", type=dict[str, str])
    pairs = zip(row["fields"], row["values"], strict=True)
    return {field: _plain(value) for field, value in pairs}


def _plain(value: str) -> str:
    """Return a stored value as people read it: text without quotes, anything else as stored."""
    return msgspec.json.decode(value, type=str) if value.startswith('"') else value


def _page_columns(pages: Sequence[Advance]) -> Mapping[str, object]:
    return {
        "run_ids": [page.run.id for page in pages],
        "pages": [page.run.next_page for page in pages],
        "cursors": [page.run.cursor for page in pages],
        "requests": [page.request for page in pages],
        "ignored_fields": [",".join(page.ignored) for page in pages],
        "next_cursors": [page.cursor for page in pages],
        "record_counts": [len(page.records) for page in pages],
        "discovered_counts": [page.count(RecordStatus.DISCOVERED) for page in pages],
        "duplicate_counts": [page.count(RecordStatus.DUPLICATE) for page in pages],
        "rejected_counts": [page.count(RecordStatus.REJECTED) for page in pages],
        "error_counts": [page.count(RecordStatus.ERROR) for page in pages],
        "costs_micros": [page.cost_micros for page in pages],
        "total_counts": [page.total_count for page in pages],
        "codes": [page.page_code or page.code for page in pages],
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
        stale_page_count=row["stale_page_count"],
        code=row["code"],
        owner=row["owner"],
        wanted_count=row["wanted_count"],
        lead_count=row["lead_count"],
    )
