"""Events over HTTP: a page behind a cursor, or, by WebSocket, all that follows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from leadflood.api.listing import Limit, Pagination
from leadflood.api.route import Route
from leadflood.engine.obs.feed import Cursor, CursorTooOld, Happened, Hub

ALIASES = {
    "leads.lead.created": "lead:created",
    "discovery.lead.discovered": "lead:created",
    "enrichment.lead.enriched": "lead:updated",
    "scoring.lead.scored": "lead:updated",
}
"""What older clients call an event; stands beside its own name."""


class EventQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which events, behind which place. No cursor: for a page the oldest kept, by WebSocket now.

    `types` are names with commas between, each may end in `*` (`scoring.*,run.completed`).
    """

    cursor: Annotated[str, msgspec.Meta(max_length=200)] = ""
    types: Annotated[str, msgspec.Meta(max_length=500)] = ""
    subject: UUID | None = None
    run_id: UUID | None = None
    limit: Limit = 100

    def place(self) -> Cursor | None:
        """Tell where to go on; None: nothing was said. Raises: Invalid."""
        return Cursor.read(self.cursor) if self.cursor else None

    def wants(self, event: Happened) -> bool:
        """Tell whether an event is asked for."""
        if self.subject is not None and event.subject != self.subject:
            return False
        if self.run_id is not None and event.run_id != self.run_id:
            return False
        return not self.types or any(_fits(event.type, name) for name in self.types.split(","))


class EventView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that happened; `cursor` is the place to go on from.

    `alias` is an older name, null where there is none; `subject` is the lead or run it is about;
    `payload` is the event itself.
    """

    cursor: str
    id: UUID
    type: str
    alias: str | None
    at: datetime
    subject: UUID | None
    version: int | None
    run_id: UUID | None
    payload: dict[str, Any]


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of events; its `nextCursor` stands also where nothing more is there yet."""

    data: Sequence[EventView]
    pagination: Pagination


class Events:
    """The route of events."""

    def __init__(self, hub: Hub | None) -> None:
        self._hub = hub

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/v1/events", handler=self.list, permission="events:read",
                errors=(CursorTooOld,), streams=True,
            ),
        )  # fmt: skip

    async def list(self, query: EventQuery) -> EventPage:
        """Show the events behind a cursor; as a WebSocket, send all that follow as they happen."""
        if self._hub is None:
            raise RuntimeError("a table made to be described cannot answer")
        feed = self._hub.feed
        after = query.place()
        if after is not None:
            await feed.check(after)
        read = await feed.read(after or await feed.oldest(), query.limit)
        last = read[-1].place if read else after
        page = Pagination(limit=query.limit, next_cursor=None if last is None else last.write())
        return EventPage(
            data=[show(event) for event in read if query.wants(event)], pagination=page
        )


def show(event: Happened) -> EventView:
    """Show an event."""
    return EventView(
        cursor=event.place.write(),
        id=event.id,
        type=event.type,
        alias=ALIASES.get(event.type),
        at=event.at,
        subject=event.subject,
        version=event.version,
        run_id=event.run_id,
        payload=show_payload(msgspec.json.decode(event.payload)),
    )


def show_payload(payload: dict[str, Any]) -> dict[str, Any]:
    """Show what an event carries: its fields in camelCase; its type stands beside it."""
    return {_camel(name): value for name, value in payload.items() if name != "type"}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _fits(event_type: str, name: str) -> bool:
    name = name.strip()
    return event_type.startswith(name[:-1]) if name.endswith("*") else event_type == name
