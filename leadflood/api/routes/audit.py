"""The record of privileged acts over HTTP: read it, filter it, take it along."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, listed
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import Streamed
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.domain.accounts.audit import AuditFilter
from leadflood.domain.accounts.schemas import AuditEntry, AuditEvent, PrincipalKind
from leadflood.domain.leads.cells import write_csv

PATH = "/v1/audit"
PIECE = 1_000
COLUMNS = (
    "id", "at", "actorKind", "actorId", "actor", "address", "requestId", "action", "subjectKind",
    "subjectId", "detail",
)  # fmt: skip
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


class AuditRecord:
    """The routes of the record."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(method="GET", path=PATH, handler=self.list, permission="audit:read"),
            Route(
                method="GET", path=f"{PATH}/export", handler=self.export, permission="audit:read",
                rate="heavy", content_type="text/csv",
            ),
        )  # fmt: skip

    async def list(self, query: AuditQuery) -> Listed[AuditEvent]:
        """List privileged acts, newest first: who, from where, what, to what."""
        events = await self._node.services.audit.list(
            self._node.services.db, _filter_of(query), query.place(), query.reach
        )
        return listed(query.skip(events), query, lambda event: event.id)

    async def export(self, query: ExportQuery, caller: Caller) -> Streamed:
        """Give out all acts that fit, newest first, as CSV or as JSON; that is an act itself."""
        wanted = _filter_of(query)

        async def do(uow: UnitOfWork) -> None:
            detail = {name: value for name, value in msgspec.to_builtins(query).items() if value}
            entry = AuditEntry(action="audit.exported", subject_kind="audit", detail=detail)
            await uow.record(entry)

        await run_once(self._node.services, caller, type(None), do)
        if query.format == "json":
            return Streamed(
                pieces=self._as_json(wanted), content_type="application/json",
                file_name="audit.json",
            )  # fmt: skip
        return Streamed(
            pieces=self._as_csv(wanted), content_type="text/csv; charset=utf-8",
            file_name="audit.csv",
        )  # fmt: skip

    async def _as_csv(self, wanted: AuditFilter) -> AsyncGenerator[bytes, None]:
        yield write_csv([COLUMNS])
        async for events in self._pages(wanted):
            yield write_csv([_cells(event) for event in events])

    async def _as_json(self, wanted: AuditFilter) -> AsyncGenerator[bytes, None]:
        before = b"["
        async for events in self._pages(wanted):
            yield before + b",\n".join([msgspec.json.encode(event) for event in events])
            before = b",\n"
        yield b"]\n" if before != b"[" else b"[]\n"

    async def _pages(self, wanted: AuditFilter) -> AsyncGenerator[Sequence[AuditEvent], None]:
        services = self._node.services
        place: UUID | None = None
        while events := await services.audit.list(services.db, wanted, place, PIECE):
            yield events
            place = events[-1].id


def _filter_of(query: AuditQuery | ExportQuery) -> AuditFilter:
    kind, _, actor_id = (query.actor or "").partition(":")
    return AuditFilter(
        actor_kind=PrincipalKind(kind) if kind else None,
        actor_id=UUID(actor_id) if actor_id else None, action=query.action,
        subject_kind=query.subject_kind, subject_id=query.subject_id,
        since=query.since, until=query.until,
    )  # fmt: skip


def _cells(event: AuditEvent) -> list[str]:
    told = msgspec.to_builtins(event)
    detail = msgspec.json.encode(event.detail).decode()
    cells = [told[name] for name in COLUMNS[:-1]]
    return [*("" if cell is None else str(cell) for cell in cells), detail]
