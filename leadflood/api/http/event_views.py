"""Events as they are asked for and shown, by page or by WebSocket."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from leadflood.api.http.event_permissions import ALIASES, EventFilter
from leadflood.api.http.naming import camel_case
from leadflood.api.http.pagination import Limit
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.engine.obs.event_feed import Cursor, LoggedEvent


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

    def position(self) -> Cursor | None:
        """Return where to go on; None: no cursor was given. Raises: Invalid."""
        return Cursor.read(self.cursor) if self.cursor else None

    def filter_for(self, principal: Principal) -> EventFilter:
        """Return the filter of these events for a principal."""
        event_filter = EventFilter(
            types=tuple([name.strip() for name in self.types.split(",") if name.strip()]),
            subject=self.subject,
            run_id=self.run_id,
            permissions=principal.permissions,
            user_id=principal.user_id,
        )
        return event_filter.with_rights_of(principal)


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


def show(event: LoggedEvent) -> EventView:
    """Return the view of an event."""
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
    """Return an event's own fields in camelCase; its type stands beside them."""
    return {camel_case(name): value for name, value in payload.items() if name != "type"}
