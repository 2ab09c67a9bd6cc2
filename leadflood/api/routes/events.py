"""Events over HTTP: a page behind a cursor, or, by WebSocket, all that follows."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from leadflood.api.http.event_views import EventQuery, EventView, show
from leadflood.api.http.pagination import Pagination
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.http.websocket_tickets import Ticket, TicketService
from leadflood.api.services import Services
from leadflood.engine.obs.event_feed import CursorTooOld, EventHub


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of events; its `nextCursor` stands also where nothing more is there yet."""

    data: Sequence[EventView]
    pagination: Pagination


@get("/v1/events", permission="events:read", errors=(CursorTooOld,), streams=True)
async def list_events(
    query: EventQuery, caller: Caller, services: Services, hub: EventHub
) -> EventPage:
    """Show the events behind a cursor; as a WebSocket, send all that follow as they happen."""
    after = query.position()
    if after is not None:
        await hub.feed.check(after)
    events = await hub.feed.read(after or await hub.feed.oldest(), query.limit)
    end = events[-1].cursor if events else after
    shown = await query.filter_for(caller.principal).select(services.db, events)
    page = Pagination(limit=query.limit, next_cursor=None if end is None else end.write())
    return EventPage(data=[show(event) for event in shown], pagination=page)


@post("/v1/events/tickets", permission="events:read", status=HTTPStatus.CREATED, is_sealed=True)
async def issue_ticket(caller: Caller, services: Services, uow: UnitOfWork) -> Ticket:
    """Create a ticket that opens one event stream within a minute, for pages in browsers."""
    return await TicketService(services).issue(uow.tx, caller)
