"""Tickets: pages in browsers cannot send a header with a WebSocket, so they come with a ticket.

It is good for one stream, for a moment; only its hash is kept, and never a token stands in a URL.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

import msgspec

from leadflood.api.http.idempotency import SQL
from leadflood.api.http.platform import Platform
from leadflood.api.http.request_context import Caller
from leadflood.domain.auth.schemas import Principal
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
    """Who came with a ticket, and until when he may listen."""

    principal: Principal
    until: datetime


class TicketService:
    """Gives out tickets and takes them."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def issue(self, tx: Tx, caller: Caller) -> Ticket:
        """Give out a ticket for who asks."""
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
        """Take a ticket, which opens nothing any more after this. Raises: Unauthenticated."""
        platform = self._platform
        row = await platform.db.fetch_one(SQL.take_ticket, hash=_hash(ticket))
        if row is None or row["expires_at"] <= platform.clock.now():
            raise _not_good()
        holder = _DECODER.decode(row["principal"])
        return msgspec.structs.replace(holder, principal=await self.find_principal(holder))

    async def find_principal(self, holder: TicketHolder) -> Principal:
        """Tell what a holder may now. Raises: Unauthenticated when that is nothing any more."""
        platform = self._platform
        if platform.clock.now() < holder.until:
            credentials = platform.accounts.use.credentials
            principal = await credentials.find_again(holder.principal)
            if principal is not None:
                return principal
        raise _not_good()


_DECODER = msgspec.json.Decoder(TicketHolder)


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogateescape")).digest()


def _not_good() -> Unauthenticated:
    return Unauthenticated(
        "this ticket is used, too old or none of ours: take a new one from"
        " POST /v1/events/tickets for each stream",
        code="events.ticket.refused",
    )
