"""The record of privileged acts over HTTP: read it, filter it, take it along."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.responses import Streamed
from leadflood.api.http.routing import get
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.contracts.csv_safety import write_csv
from leadflood.domain.audit.schemas import AuditEvent, AuditFilter
from leadflood.domain.auth.schemas.principals import PrincipalKind

PIECE = 1_000
COLUMNS = tuple([field.encode_name for field in msgspec.structs.fields(AuditEvent)])
Words = Annotated[str, msgspec.Meta(max_length=200)]
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ActorName = Annotated[str, msgspec.Meta(pattern=f"^((user|key):{_UUID}|operator|nobody)$")]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class AuditQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which acts; null asks for nothing.

    `actor` is `user:<id>`, `key:<id>` or `operator`; `from` counts, `to` does not.
    """

    actor: ActorName | None = None
    action: Words | None = None
    subject_kind: Words | None = None
    subject_id: Words | None = None
    since: Instant | None = msgspec.field(name="from", default=None)
    until: Instant | None = msgspec.field(name="to", default=None)


class ExportQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which acts, and how they are written; the filters are those of the list."""

    format: Literal["csv", "json"] = "csv"
    actor: ActorName | None = None
    action: Words | None = None
    subject_kind: Words | None = None
    subject_id: Words | None = None
    since: Instant | None = msgspec.field(name="from", default=None)
    until: Instant | None = msgspec.field(name="to", default=None)


@get("/v1/audit", permission="audit:read")
async def list_audit_events(query: AuditQuery, services: Services) -> Listed[AuditEvent]:
    """List privileged acts, newest first: who, from where, what, to what."""
    events = await services.audit.list(
        services.db, _filter_of(query), query.position(), query.fetch_limit
    )
    return paginate(events, query)


@get("/v1/audit/export", permission="audit:read", rate="heavy", content_type="text/csv")
async def export_audit_events(query: ExportQuery, services: Services, uow: UnitOfWork) -> Streamed:
    """Export all acts that fit, newest first, as CSV or as JSON; the export is an act itself."""
    params = {name: value for name, value in msgspec.to_builtins(query).items() if value}
    await uow.audit("audit.exported", **params)
    audit_filter = _filter_of(query)
    first = await services.audit.list(services.db, audit_filter, None, PIECE)  # or a refusal
    pages = _list_pages(services, audit_filter, first)
    if query.format == "json":
        return Streamed(
            pieces=_write_json(pages), content_type="application/json", file_name="audit.json"
        )
    return Streamed(
        pieces=_write_csv(pages), content_type="text/csv; charset=utf-8", file_name="audit.csv"
    )


Pages = AsyncGenerator[Sequence[AuditEvent], None]


async def _write_csv(pages: Pages) -> AsyncGenerator[bytes, None]:
    yield write_csv([COLUMNS])
    async for events in pages:
        yield write_csv([_cells_of(event) for event in events])


async def _write_json(pages: Pages) -> AsyncGenerator[bytes, None]:
    before = b"["
    async for events in pages:
        yield before + b",\n".join([msgspec.json.encode(event) for event in events])
        before = b",\n"
    yield b"]\n" if before != b"[" else b"[]\n"


async def _list_pages(
    services: Services, audit_filter: AuditFilter, first: Sequence[AuditEvent]
) -> Pages:
    events = first
    while events:
        yield events
        position = events[-1].id
        events = await services.audit.list(services.db, audit_filter, position, PIECE)


def _filter_of(query: AuditQuery | ExportQuery) -> AuditFilter:
    kind, _, actor_id = (query.actor or "").partition(":")
    return AuditFilter(
        actor_kind=PrincipalKind(kind) if kind else None,
        actor_id=UUID(actor_id) if actor_id else None,
        action=query.action,
        subject_kind=query.subject_kind,
        subject_id=query.subject_id,
        since=query.since,
        until=query.until,
    )


def _cells_of(event: AuditEvent) -> list[str]:
    values = msgspec.to_builtins(event)
    detail = msgspec.json.encode(event.detail).decode()
    cells = [values[name] for name in COLUMNS[:-1]]
    return [*("" if cell is None else str(cell) for cell in cells), detail]
