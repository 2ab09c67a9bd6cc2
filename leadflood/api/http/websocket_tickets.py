"""WebSocket tickets: a page in a browser cannot send a header with a WebSocket, so it sends these.

A ticket opens one stream, within a minute. Only its hash is stored, and no token stands in a URL.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

import msgspec

from leadflood.api.http.idempotency import SQL
from leadflood.api.http.platform import Platform
from leadflood.api.http.request_context import Caller
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Unauthenticated

TICKET_LIFETIME = timedelta(seconds=60)
STREAM_LIFETIME = timedelta(minutes=15)
"""A stream opened with a ticket ends when an access token of that moment would."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Opens one stream, once, before `expiresAt`: `/v1/events?ticket=…`."""

    ticket: str
    expires_at: datetime


class TicketHolder(msgspec.Struct, frozen=True, kw_only=True):
    """The principal of a ticket, and until when they may listen."""

    principal: Principal
    until: datetime


class TicketService:
    """Issues tickets and redeems them."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def issue(self, tx: Tx, caller: Caller) -> Ticket:
        """Issue a ticket to the caller."""
        now, ticket = self._platform.clock.now(), secrets.token_urlsafe(32)
        holder = TicketHolder(principal=caller.principal, until=now + STREAM_LIFETIME)
        await tx.execute(
            SQL.add_ticket,
            hash=_hash(ticket),
            principal=msgspec.json.encode(holder).decode(),
            expires_at=now + TICKET_LIFETIME,
            now=now,
        )
        return Ticket(ticket=ticket, expires_at=now + TICKET_LIFETIME)

    async def redeem(self, ticket: str) -> TicketHolder:
        """Redeem a ticket, which opens nothing after this. Raises: Unauthenticated."""
        platform = self._platform
        row = await platform.db.fetch_one(SQL.take_ticket, hash=_hash(ticket))
        if row is None or row["expires_at"] <= platform.clock.now():
            raise _refused()
        holder = _DECODER.decode(row["principal"])
        return msgspec.structs.replace(holder, principal=await self.find_principal(holder))

    async def find_principal(self, holder: TicketHolder) -> Principal:
        """Return a holder's rights now. Raises: Unauthenticated when they have none any more."""
        platform = self._platform
        if platform.clock.now() < holder.until:
            credentials = platform.accounts.use.credentials
            principal = await credentials.find_again(holder.principal)
            if principal is not None:
                return principal
        raise _refused()


_DECODER = msgspec.json.Decoder(TicketHolder)


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogateescape")).digest()


def _refused() -> Unauthenticated:
    return Unauthenticated(
        "this ticket is used, too old or none of ours: take a new one from"
        " POST /v1/events/tickets for each stream",
        code="events.ticket.refused",
    )
