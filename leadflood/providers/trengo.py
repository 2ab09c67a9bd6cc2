"""Trengo: WhatsApp template messages, and looking afterwards whether one arrived.

Plan: any with API access and a WhatsApp Business channel.
Docs: https://developers.trengo.com/reference/start-a-conversation and /docs/rate-limiting, read
2026-06-01. The listings (contacts, tickets, messages) are as working clients read them: they are
taken leniently, and what is not confirmed is a setting.

There is no idempotency key: a cut send is `Unsure`, and only the message list can settle it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from leadflood.contracts.ports.sender import Arrival, OutgoingMessage, Receipt, Sender
from leadflood.contracts.provider_client import (
    SUCCESSES,
    ProviderClient,
    ProviderEndpoint,
    Question,
    canonical,
)
from leadflood.contracts.provider_spec import ProviderSettings, ProviderSpec
from leadflood.contracts.values import Channel
from leadflood.contracts.vendor_http import DEFAULT_WAIT_SECONDS, Vendor, refused, wait_seconds
from leadflood.engine.clock import Clock
from leadflood.engine.errors import Invalid
from leadflood.engine.net.calls import Gate, Http, HttpReply, LimitHint, Reply, Window

SPEC = ProviderSpec(
    name="trengo",
    implements={Sender: "message.send"},
    base_url="https://app.trengo.com/api/v2",
    docs_url="https://developers.trengo.com/reference/start-a-conversation",
    read_on="2026-06-01",
    plan="any with API access; Meta bills the conversation",
    credits={"message.send": Decimal(1), "message.look_up": Decimal(0)},
    limits={"api": (Window(120, 60),)},
    terms="https://trengo.com/legal: templates only to people who opted in",
)

_MOST_PAGES = 20
_CLOCKS_APART = timedelta(minutes=2)
_MOST_PARAMETER_CHARS = 1_024

# A 2xx is an acceptance, whatever its body.
_SEND = ProviderEndpoint(
    "message.send", "api", "POST", "/wa_sessions", answers=SUCCESSES, is_effect=True
)

T = TypeVar("T")


class _Contact(msgspec.Struct):
    id: int | str
    phone: str | None = None
    identifier: str | None = None


class _Ticket(msgspec.Struct):
    id: int | str


class _Message(msgspec.Struct):
    type: str | None = None
    body: str | None = None
    message: str | None = None
    created_at: str | None = None


class _Meta(msgspec.Struct):
    last_page: int | None = None


class _Links(msgspec.Struct):
    next: str | None = None


class _Listing(msgspec.Struct):
    data: list[msgspec.Raw]
    meta: _Meta | None = None
    links: _Links | None = None


class _Criteria(msgspec.Struct, frozen=True):
    """The message to look for: its text, or else all its parameters, not before `after`."""

    text: str
    parameters: tuple[str, ...]
    after: datetime


def _read_hints(reply: HttpReply, now: datetime) -> tuple[LimitHint, ...]:
    limit = _count(reply, "x-ratelimit-limit")
    remaining = _count(reply, "x-ratelimit-remaining")
    if limit is None and remaining is None:
        return ()
    resets_in = _reset_seconds(reply, now)
    return (LimitHint(60, limit=limit, remaining=remaining, resets_in_seconds=resets_in),)


def _reset_seconds(reply: HttpReply, now: datetime) -> float | None:
    """Read `x-ratelimit-reset`, Unix seconds; None where it is absent, past or beyond a minute."""
    at = _count(reply, "x-ratelimit-reset")
    seconds = at - now.timestamp() if at is not None else 0.0
    return seconds if 0 < seconds <= 60 else None  # noqa: PLR2004 - the window's length


def _count(reply: HttpReply, name: str) -> int | None:
    text = reply.headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdecimal() else None


def _read_wait(reply: HttpReply, now: datetime) -> float:
    otherwise = _reset_seconds(reply, now) or DEFAULT_WAIT_SECONDS
    return wait_seconds(reply.headers, now, otherwise)


_VENDOR = Vendor(
    spec=SPEC,
    key_header="authorization",
    key_prefix="Bearer ",
    key_noun="token",
    errors={402: refused},
    read_hints=_read_hints,
    read_wait=_read_wait,
)


class Trengo:
    """Sends WhatsApp templates.

    Extra settings: `parameter_type` (default `body`; empty leaves the key out), `settle_seconds`
    (how long after the send a message that is not listed counts as not sent; default 60),
    `absent_contact_means_not_sent` (bool, default false: no contact with the number settles it).
    """

    name = SPEC.name
    channel = Channel.WHATSAPP

    def __init__(self, settings: ProviderSettings, gate: Gate, http: Http, clock: Clock) -> None:
        self._client = ProviderClient(_VENDOR, settings, gate, http, clock)
        self._extra = settings.extra
        self._clock = clock

    async def send(self, message: OutgoingMessage) -> Receipt:
        """Hand a template with its parameters over, once."""
        question = Question(
            key=canonical([message.intent_id, message.reference]),
            body=canonical(self._session(message)),
            subjects=(message.subject_id,),
        )
        return _receipt((await self._client.ask(_SEND, question, self._read_acceptance)).body)

    async def look_up(self, message: OutgoingMessage, since: datetime) -> Arrival:
        """Look for the message in the tickets of the one contact with this number.

        Not sent is returned only for a list that was read to its end, a while after the send.
        """
        contacts, is_whole = await self._contacts(message.to)
        if not contacts:
            is_proof = bool(self._extra.get("absent_contact_means_not_sent", False))
            return self._absent(since) if is_proof and is_whole else Arrival.CANNOT_TELL
        criteria = _Criteria(message.text, message.parameters, since - _CLOCKS_APART)
        if not (criteria.text or criteria.parameters):
            return Arrival.CANNOT_TELL
        arrivals = {await self._search_tickets(contact, criteria) for contact in contacts}
        if Arrival.SENT in arrivals:
            return Arrival.SENT
        if Arrival.CANNOT_TELL in arrivals or len(contacts) > 1 or not is_whole:
            return Arrival.CANNOT_TELL
        return self._absent(since)

    def _absent(self, since: datetime) -> Arrival:
        """Return not sent, but not while the other side may still be busy with it."""
        settles_at = since + timedelta(seconds=float(self._extra.get("settle_seconds", 60)))
        return Arrival.NOT_SENT if self._clock.now() >= settles_at else Arrival.CANNOT_TELL

    async def _contacts(self, phone: str) -> tuple[list[_Contact], bool]:
        digits = _digits(phone)
        rows, is_whole = await self._list("/contacts", {"term": f"+{digits}"}, _Contact)
        contacts = [row for row in rows if digits in {_digits(row.phone), _digits(row.identifier)}]
        return contacts, is_whole

    async def _search_tickets(self, contact: _Contact, criteria: _Criteria) -> Arrival:
        tickets, is_whole = await self._list("/tickets", {"contact_id": str(contact.id)}, _Ticket)
        arrivals = set()
        for ticket in tickets:
            rows, is_read = await self._list(f"/tickets/{ticket.id}/messages", {}, _Message)
            is_whole = is_whole and is_read
            arrivals |= {_compare(row, criteria) for row in rows}
        if Arrival.SENT in arrivals:
            return Arrival.SENT
        return (
            Arrival.NOT_SENT
            if is_whole and Arrival.CANNOT_TELL not in arrivals
            else Arrival.CANNOT_TELL
        )

    async def _list(
        self, path: str, params: Mapping[str, str], row: type[T]
    ) -> tuple[list[T], bool]:
        """Return the rows of a listing up to the page cap, and whether its end was reached."""
        rows: list[T] = []
        for page in range(1, _MOST_PAGES + 1):
            listing = await self._get(path, {**params, "page": str(page)})
            rows += [self._client.decode(bytes(raw), row) for raw in listing.data]
            if _is_last(listing, page):
                return rows, True
        return rows, False

    async def _get(self, path: str, params: Mapping[str, str]) -> _Listing:
        endpoint = ProviderEndpoint("message.look_up", "api", "GET", path)
        question = Question(key=canonical([path, params]), params=params)

        def read(reply: HttpReply) -> Reply:
            _listing(self._client, reply.body)
            return Reply(body=reply.body)

        reply = await self._client.ask(endpoint, question, read)
        return _listing(self._client, reply.body)

    def _session(self, message: OutgoingMessage) -> dict[str, Any]:
        parameter_type = str(self._extra.get("parameter_type", "body"))
        typed = {"type": parameter_type} if parameter_type else {}
        return {
            "recipient_phone_number": _phone(message.to),
            "hsm_id": _template(message.template_id),
            "params": [
                {**typed, "key": f"{{{{{number}}}}}", "value": _parameter(number, value)}
                for number, value in enumerate(message.parameters, start=1)
            ],
        }

    def _read_acceptance(self, reply: HttpReply) -> Reply:
        return Reply(body=reply.body, cost_micros=self._client.price("message.send"))


def _phone(to: str) -> str:
    digits = _digits(to)
    if not 7 <= len(digits) <= 15 or digits.startswith("0"):  # noqa: PLR2004 - E.164
        raise Invalid.field("to", "write it as +31620000000", detail="the number is not E.164")
    return f"+{digits}"


def _template(template_id: str) -> int:
    if not (template_id.isascii() and template_id.isdecimal()):
        raise Invalid.field(
            "template_id",
            "the number from Trengo's settings, not Meta's name",
            detail="the template is not Trengo's own",
        )
    return int(template_id)


def _parameter(number: int, value: str) -> str:
    """Check a parameter as Meta does: not empty, no line break or tab, no run of spaces."""
    is_flat = not any(sign in value for sign in ("\n", "\r", "\t", "    "))
    if not value.strip() or not is_flat or len(value) > _MOST_PARAMETER_CHARS:
        raise Invalid.field(
            f"parameters[{number - 1}]",
            "one line, not empty, 1024 characters",
            detail="WhatsApp refuses this parameter",
        )
    return value


def _digits(phone: str | None) -> str:
    return "".join(sign for sign in phone or "" if sign.isascii() and sign.isdecimal())


def _receipt(body: bytes) -> Receipt:
    """Return the ids wherever an account's answer holds them; without any it still went."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Receipt(detail="accepted; the answer could not be read")
    message = _first(answer, ("message", "id"), ("data", "id"), ("message_id",))
    ticket = _first(
        answer,
        ("message", "ticket_id"),
        ("ticket", "id"),
        ("data", "ticket_id"),
        ("ticket_id",),
    )
    return Receipt(remote_id=message, detail=f"ticket {ticket}" if ticket else "")


def _first(answer: object, *paths: tuple[str, ...]) -> str:
    for path in paths:
        value = answer
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, int | str) and not isinstance(value, bool):
            return str(value)
    return ""


def _listing(client: ProviderClient, body: bytes) -> _Listing:
    """Read `{data, meta, links}`; some workspaces answer with the bare array."""
    try:
        return _Listing(msgspec.json.decode(body, type=list[msgspec.Raw]), _Meta(last_page=1))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return client.decode(body, _Listing)


def _is_last(listing: _Listing, page: int) -> bool:
    """Whether a page is the last: by `meta.last_page`, else by the next link, else when empty."""
    if not listing.data:
        return True
    if listing.meta and listing.meta.last_page is not None:
        return page >= listing.meta.last_page
    return listing.links is not None and not listing.links.next


def _compare(row: _Message, criteria: _Criteria) -> Arrival:
    """Compare a listed message: ours, not ours, or ours at a time that cannot be read."""
    if row.type != "OUTBOUND":
        return Arrival.NOT_SENT
    texts = {_flat(text) for text in (row.body, row.message) if text}
    if not any(_is_ours(text, criteria) for text in texts):
        return Arrival.NOT_SENT
    at = _instant(row.created_at)
    if at is None:
        return Arrival.CANNOT_TELL
    return Arrival.SENT if at >= criteria.after else Arrival.NOT_SENT


def _is_ours(text: str, criteria: _Criteria) -> bool:
    if criteria.text and text == _flat(criteria.text):
        return True
    return bool(criteria.parameters) and all(_flat(value) in text for value in criteria.parameters)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _instant(text: str | None) -> datetime | None:
    """Read `2026-11-04 09:12:31`; without a zone it is taken as UTC (not confirmed)."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
