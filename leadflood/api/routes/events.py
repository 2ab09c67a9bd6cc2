"""Events over HTTP: a page behind a cursor, or, by WebSocket, all that follows."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from uuid import UUID

import msgspec

from leadflood.api.http.event_views import EventQuery, EventView, show
from leadflood.api.http.pagination import Pagination
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.http.websocket_tickets import Ticket, TicketService
from leadflood.api.services import Node
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.engine.obs.event_feed import CursorTooOld, EventHub


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
        after = query.position()
        if after is not None:
            await feed.check(after)
        read = await feed.read(after or await feed.oldest(), query.limit)
        last = read[-1].cursor if read else after
        page = Pagination(limit=query.limit, next_cursor=None if last is None else last.write())
        view = query.view_of(caller.principal)
        owners: Mapping[UUID, str] = {}
        if view.sees_owner is not None:
            subjects = [event.subject for event in read if event.subject is not None]
            owners = await LeadOwnership(self._node.services.db).find_owners(subjects)
        return EventPage(
            data=[show(event) for event in read if view.shows(event, owners)], pagination=page
        )

    async def give_ticket(self, caller: Caller) -> Ticket:
        """Give out a ticket that opens one event stream within a minute, for pages in browsers."""
        tickets = TicketService(self._node.services)

        async def do(uow: UnitOfWork) -> Ticket:
            return await tickets.issue(uow.tx, caller)

        keeper = self._node.services.accounts.use.seal
        return await run_once(self._node.services, caller, Ticket, do, seal=keeper)
