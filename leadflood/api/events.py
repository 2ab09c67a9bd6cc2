"""Events over HTTP: a page behind a cursor, or, by WebSocket, all that follows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec

from leadflood.api.audience import ALIASES, View
from leadflood.api.deeds import Deed, once
from leadflood.api.edge import Caller, Node
from leadflood.api.listing import Limit, Pagination
from leadflood.api.route import Route
from leadflood.api.tickets import Ticket, Tickets
from leadflood.domain.accounts.schemas import Principal
from leadflood.domain.accounts.sight import Sight
from leadflood.engine.obs.event_feed import Cursor, CursorTooOld, EventHub, LoggedEvent


class EventQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which events, behind which place. No cursor: for a page the oldest kept, by WebSocket now.

    `types` are names or aliases with commas between; a name may end in `*`
    (`scoring.*,lead:created`). `ticket` is for a WebSocket that can send no header.
    """

    cursor: Annotated[str, msgspec.Meta(max_length=200)] = ""
    types: Annotated[str, msgspec.Meta(max_length=500)] = ""
    subject: UUID | None = None
    run_id: UUID | None = None
    limit: Limit = 100
    ticket: Annotated[str, msgspec.Meta(max_length=100)] = ""

    def place(self) -> Cursor | None:
        """Tell where to go on; None: nothing was said. Raises: Invalid."""
        return Cursor.read(self.cursor) if self.cursor else None

    def view_of(self, principal: Principal) -> View:
        """Tell what of this somebody is shown."""
        return View(
            types=tuple([name.strip() for name in self.types.split(",") if name.strip()]),
            subject=self.subject, run_id=self.run_id, permissions=principal.permissions,
            user_id=principal.user_id, sees_owner=principal.sees_owner,
        )  # fmt: skip


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
    """The routes of events."""

    def __init__(self, node: Node, hub: EventHub | None) -> None:
        self._node = node
        self._hub = hub

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/v1/events", handler=self.list, permission="events:read",
                errors=(CursorTooOld,), streams=True,
            ),
            Route(
                method="POST", path="/v1/events/tickets", handler=self.give_ticket,
                permission="events:read", status=HTTPStatus.CREATED,
            ),
        )  # fmt: skip

    async def list(self, query: EventQuery, caller: Caller) -> EventPage:
        """Show the events behind a cursor; as a WebSocket, send all that follow as they happen."""
        if self._hub is None:
            raise RuntimeError("a table made to be described cannot answer")
        feed = self._hub.feed
        after = query.place()
        if after is not None:
            await feed.check(after)
        read = await feed.read(after or await feed.oldest(), query.limit)
        last = read[-1].cursor if read else after
        page = Pagination(limit=query.limit, next_cursor=None if last is None else last.write())
        view = query.view_of(caller.principal)
        owners: Mapping[UUID, str] = {}
        if view.sees_owner is not None:
            subjects = [event.subject for event in read if event.subject is not None]
            owners = await Sight(self._node.storage.db).find_owners(subjects)
        return EventPage(
            data=[show(event) for event in read if view.shows(event, owners)], pagination=page
        )

    async def give_ticket(self, caller: Caller) -> Ticket:
        """Give out a ticket that opens one event stream within a minute, for pages in browsers."""
        tickets = Tickets(self._node)

        async def do(deed: Deed) -> Ticket:
            return await tickets.give(deed.tx, caller)

        keeper = self._node.storage.accounts.use.seal
        return await once(self._node, caller, Ticket, do, keeper=keeper)


def show(event: LoggedEvent) -> EventView:
    """Show an event."""
    return EventView(
        cursor=event.cursor.write(),
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
