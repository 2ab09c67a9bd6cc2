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
from uuid import UUID

import msgspec

from leadflood.contracts.errors import (
    ProviderDown,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
)
from leadflood.contracts.ports.sender import Arrival, OutgoingMessage, Receipt, Sender
from leadflood.contracts.provider import ProviderSettings, ProviderSpec
from leadflood.contracts.values import Channel
from leadflood.contracts.wire import (
    UNTOLD_WAIT_SECONDS,
    api_key,
    base_url,
    canonical,
    decode_answer,
    detail_of,
    price_micros,
    refuse_unusual,
    wait_seconds,
)
from leadflood.engine.clock import Clock
from leadflood.engine.errors import FieldProblem, Invalid, Unsure
from leadflood.engine.net.call import (
    Call,
    Cut,
    Gate,
    Http,
    HttpReply,
    LimitHint,
    Reply,
    Unreached,
    Window,
)

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


class _Sought(msgspec.Struct, frozen=True):
    """What is looked for: the text, or else all the parameters, not before `after`."""

    text: str
    parameters: tuple[str, ...]
    after: datetime


class Trengo:
    """Sends WhatsApp templates.

    Extra settings: `parameter_type` (default `body`; empty leaves the key out), `settle_seconds`
    (how long after the send a message that is not listed counts as not sent; default 60),
    `absent_contact_means_not_sent` (bool, default false: no contact with the number settles it).
    """

    name = SPEC.name
    channel = Channel.WHATSAPP

    def __init__(self, settings: ProviderSettings, gate: Gate, http: Http, clock: Clock) -> None:
        self._settings = settings
        self._gate = gate
        self._http = http
        self._clock = clock
        self._base_url = base_url(SPEC, settings)

    async def send(self, message: OutgoingMessage) -> Receipt:
        """Hand a template with its parameters over, once."""
        key = api_key(SPEC, self._settings)
        body = canonical(self._session(message))
        call = Call(
            provider=SPEC.name,
            operation="message.send",
            question=canonical([message.intent_id, message.reference]),
            limit="api",
            max_cost_micros=price_micros(SPEC.credits["message.send"], self._settings),
            subjects=(message.subject_id,),
            timeout_seconds=self._settings.timeout_seconds,
            effect=True,
        )

        async def send(reference: UUID) -> Reply:
            try:
                reply = await self._request("POST", "/wa_sessions", reference, key, body=body)
            except Cut as error:
                raise Unsure(f"trengo may have sent it: {error.detail}") from error
            return self._taken(reply)

        return _receipt((await self._gate.call(call, send)).body)

    async def look_up(self, message: OutgoingMessage, since: datetime) -> Arrival:
        """Look for the message in the tickets of the one contact with this number.

        Not sent is said only of a list that was read to its end, a while after the send.
        """
        contacts, is_whole = await self._contacts(message.to)
        if not contacts:
            is_told = bool(self._settings.extra.get("absent_contact_means_not_sent", False))
            return self._absent(since) if is_told and is_whole else Arrival.CANNOT_TELL
        sought = _Sought(message.text, message.parameters, since - _CLOCKS_APART)
        if not (sought.text or sought.parameters):
            return Arrival.CANNOT_TELL
        seen = {await self._seen_by(contact, sought) for contact in contacts}
        if Arrival.SENT in seen:
            return Arrival.SENT
        if Arrival.CANNOT_TELL in seen or len(contacts) > 1 or not is_whole:
            return Arrival.CANNOT_TELL
        return self._absent(since)

    def _absent(self, since: datetime) -> Arrival:
        """Say not sent, but not while the other side may still be busy with it."""
        settles_at = since + timedelta(
            seconds=float(self._settings.extra.get("settle_seconds", 60))
        )
        return Arrival.NOT_SENT if self._clock.now() >= settles_at else Arrival.CANNOT_TELL

    async def _contacts(self, phone: str) -> tuple[list[_Contact], bool]:
        wanted = _digits(phone)
        rows, is_whole = await self._list("/contacts", {"term": f"+{wanted}"}, _Contact)
        found = [row for row in rows if wanted in {_digits(row.phone), _digits(row.identifier)}]
        return found, is_whole

    async def _seen_by(self, contact: _Contact, sought: _Sought) -> Arrival:
        tickets, is_whole = await self._list("/tickets", {"contact_id": str(contact.id)}, _Ticket)
        seen = set()
        for ticket in tickets:
            rows, is_read = await self._list(f"/tickets/{ticket.id}/messages", {}, _Message)
            is_whole = is_whole and is_read
            seen |= {_compare(row, sought) for row in rows}
        if Arrival.SENT in seen:
            return Arrival.SENT
        return (
            Arrival.NOT_SENT
            if is_whole and Arrival.CANNOT_TELL not in seen
            else Arrival.CANNOT_TELL
        )

    async def _list(
        self, path: str, params: Mapping[str, str], row: type[T]
    ) -> tuple[list[T], bool]:
        """Read a listing to its end, or to the page cap; tell whether the end was reached."""
        rows: list[T] = []
        for page in range(1, _MOST_PAGES + 1):
            listing = _listing(await self._get(path, {**params, "page": str(page)}))
            rows += [decode_answer(SPEC.name, bytes(raw), row) for raw in listing.data]
            if _is_last(listing, page):
                return rows, True
        return rows, False

    async def _get(self, path: str, params: Mapping[str, str]) -> bytes:
        key = api_key(SPEC, self._settings)
        call = Call(
            provider=SPEC.name,
            operation="message.look_up",
            question=canonical([path, params]),
            limit="api",
            timeout_seconds=self._settings.timeout_seconds,
        )

        async def send(reference: UUID) -> Reply:
            reply = await self._request("GET", path, reference, key, params=params)
            now = self._clock.now()
            if reply.status != 200:  # noqa: PLR2004 - HTTP's own number
                refuse_unusual(SPEC.name, reply, now)
                raise _refusal(reply, now)
            _listing(reply.body)
            return Reply(body=reply.body, hints=_hints(reply, now))

        try:
            return (await self._gate.call(call, send)).body
        except (Unreached, Cut) as error:
            raise ProviderDown(f"trengo cannot be reached: {error.detail}") from error

    async def _request(
        self,
        method: str,
        path: str,
        reference: UUID,
        key: str,
        **what: Any,
    ) -> HttpReply:
        return await self._http.request(
            method,
            self._base_url + path,
            headers={
                "authorization": f"Bearer {key}",
                "content-type": "application/json",
                "accept": "application/json",
                "x-request-id": str(reference),
            },
            timeout_seconds=self._settings.timeout_seconds,
            **what,
        )

    def _session(self, message: OutgoingMessage) -> dict[str, Any]:
        kind = str(self._settings.extra.get("parameter_type", "body"))
        typed = {"type": kind} if kind else {}
        return {
            "recipient_phone_number": _phone(message.to),
            "hsm_id": _template(message.template_id),
            "params": [
                {**typed, "key": f"{{{{{number}}}}}", "value": _parameter(number, value)}
                for number, value in enumerate(message.parameters, start=1)
            ],
        }

    def _taken(self, reply: HttpReply) -> Reply:
        """Tell what a status means for a message: 2xx is accepted, whatever its body."""
        now = self._clock.now()
        if 200 <= reply.status < 300:  # noqa: PLR2004 - the borders of RFC 9110's class
            cost = price_micros(SPEC.credits["message.send"], self._settings)
            return Reply(body=reply.body, cost_micros=cost, hints=_hints(reply, now))
        if reply.status >= 500:  # noqa: PLR2004 - the border of RFC 9110's class
            raise Unsure(f"trengo answered {reply.status} and may have sent it")
        raise _refusal(reply, now)


def _refusal(reply: HttpReply, now: datetime) -> Exception:
    detail = detail_of(reply)
    match reply.status:
        case 401 | 403:
            return ProviderKeyRefused(
                f"trengo refuses the token: set providers.trengo.api_key; it says: {detail}"
            )
        case 429:
            wait = wait_seconds(reply.headers, now, _until_reset(reply, now) or UNTOLD_WAIT_SECONDS)
            return ProviderThrottled(f"trengo says wait: {detail}", wait, _hints(reply, now))
        case _:
            return ProviderRefused(f"trengo answered {reply.status}: {detail}")


def _phone(to: str) -> str:
    digits = _digits(to)
    if not 7 <= len(digits) <= 15 or digits.startswith("0"):  # noqa: PLR2004 - E.164
        raise Invalid("the number is not E.164", (FieldProblem("to", "write it as +31620000000"),))
    return f"+{digits}"


def _template(template_id: str) -> int:
    if not (template_id.isascii() and template_id.isdecimal()):
        raise Invalid(
            "the template is not Trengo's own",
            (FieldProblem("template_id", "the number from Trengo's settings, not Meta's name"),),
        )
    return int(template_id)


def _parameter(number: int, value: str) -> str:
    """Check a parameter as Meta does: not empty, no line break or tab, no run of spaces."""
    is_flat = not any(sign in value for sign in ("\n", "\r", "\t", "    "))
    if not value.strip() or not is_flat or len(value) > _MOST_PARAMETER_CHARS:
        raise Invalid(
            "WhatsApp refuses this parameter",
            (FieldProblem(f"parameters[{number - 1}]", "one line, not empty, 1024 characters"),),
        )
    return value


def _digits(phone: str | None) -> str:
    return "".join(sign for sign in phone or "" if sign.isascii() and sign.isdecimal())


def _receipt(body: bytes) -> Receipt:
    """Find the ids wherever an account's answer holds them; without any it still went."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Receipt(detail="accepted; the answer could not be read")
    message = _first(told, ("message", "id"), ("data", "id"), ("message_id",))
    ticket = _first(
        told,
        ("message", "ticket_id"),
        ("ticket", "id"),
        ("data", "ticket_id"),
        ("ticket_id",),
    )
    return Receipt(remote_id=message, detail=f"ticket {ticket}" if ticket else "")


def _first(told: object, *paths: tuple[str, ...]) -> str:
    for path in paths:
        value = told
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, int | str) and not isinstance(value, bool):
            return str(value)
    return ""


def _listing(body: bytes) -> _Listing:
    """Read `{data, meta, links}`; some workspaces answer with the bare array."""
    try:
        return _Listing(msgspec.json.decode(body, type=list[msgspec.Raw]), _Meta(last_page=1))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return decode_answer(SPEC.name, body, _Listing)


def _is_last(listing: _Listing, page: int) -> bool:
    """Tell the end: `meta.last_page` where it is told, else no next link, else an empty page."""
    if not listing.data:
        return True
    if listing.meta and listing.meta.last_page is not None:
        return page >= listing.meta.last_page
    return listing.links is not None and not listing.links.next


def _compare(row: _Message, sought: _Sought) -> Arrival:
    """Compare one listed message: ours, not ours, or ours at a time that cannot be read."""
    if row.type != "OUTBOUND":
        return Arrival.NOT_SENT
    texts = {_flat(text) for text in (row.body, row.message) if text}
    if not any(_is_ours(text, sought) for text in texts):
        return Arrival.NOT_SENT
    at = _instant(row.created_at)
    if at is None:
        return Arrival.CANNOT_TELL
    return Arrival.SENT if at >= sought.after else Arrival.NOT_SENT


def _is_ours(text: str, sought: _Sought) -> bool:
    if sought.text and text == _flat(sought.text):
        return True
    return bool(sought.parameters) and all(_flat(value) in text for value in sought.parameters)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _instant(told: str | None) -> datetime | None:
    """Read `2026-11-04 09:12:31`; without a zone it is taken as UTC (not confirmed)."""
    try:
        at = datetime.fromisoformat(told or "")
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _hints(reply: HttpReply, now: datetime) -> tuple[LimitHint, ...]:
    limit = _count(reply, "x-ratelimit-limit")
    left = _count(reply, "x-ratelimit-remaining")
    if limit is None and left is None:
        return ()
    resets_in = _until_reset(reply, now)
    return (LimitHint(60, limit=limit, remaining=left, resets_in_seconds=resets_in),)


def _until_reset(reply: HttpReply, now: datetime) -> float | None:
    """Read `x-ratelimit-reset`, Unix seconds; None where it is absent, past or beyond a minute."""
    at = _count(reply, "x-ratelimit-reset")
    seconds = at - now.timestamp() if at is not None else 0.0
    return seconds if 0 < seconds <= 60 else None  # noqa: PLR2004 - the window's length


def _count(reply: HttpReply, name: str) -> int | None:
    told = reply.headers.get(name, "").strip()
    return int(told) if told.isascii() and told.isdecimal() else None
