"""The pretend Trengo: WhatsApp templates, tickets with their messages, contacts, channels.

Source: `outbound/trengo.md` and its samples. All calls share 120 a minute. Accepted messages are in
the journal; tickets are read from there, so they outlive a restart.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

import msgspec

from leadflood.contracts.values import Micros
from leadflood.sandbox.journal import Delivery, Journal, JournalEntry
from leadflood.sandbox.provider_protocol import (
    Operation,
    ProviderRequest,
    ProviderResponse,
    RequestRefusal,
    json_response,
    read_json_object,
    text_of,
)
from leadflood.sandbox.quota import WindowUsage, whole_seconds

_GROUP: Final = "trengo.any"
_CHANNEL_ID: Final = 720011
_PER_PAGE: Final = 25
_ROOT: Final = "https://app.trengo.com/api/v2"
_FIXED: Final = {
    ("POST", "wa_sessions"): "wa_sessions.create",
    ("GET", "wa_templates"): "wa_templates.list",
    ("GET", "tickets"): "tickets.list",
    ("GET", "contacts"): "contacts.list",
    ("GET", "channels"): "channels.list",
}
_NESTED: Final = {
    ("GET", "tickets", "messages"): "tickets.messages",
    ("POST", "channels", "contacts"): "contacts.create",
}
_PATH_PARTS: Final = 3


class WhatsAppTemplate(msgspec.Struct, frozen=True):
    """A message text that WhatsApp has accepted."""

    id: int
    title: str
    text: str

    @property
    def parameter_count(self) -> int:
        """How many placeholders there are to fill."""
        return self.text.count("{{")

    def fill(self, parameters: Sequence[str]) -> str:
        """Return the text with its parameters filled in."""
        text = self.text
        for number, value in enumerate(parameters, 1):
            text = text.replace(f"{{{{{number}}}}}", value)
        return text


TEMPLATES: Final = (
    WhatsAppTemplate(48211, "intro_v1", "Hello {{1}}, this is about {{2}}. Reply STOP to end."),
    WhatsAppTemplate(
        48212,
        "intro_v2",
        "Hello {{1}}, I am writing about {{2}}: {{3}} Reply STOP to end.",
    ),
    WhatsAppTemplate(
        48213,
        "intro_v3",
        "Hello {{1}}, this is {{4}} writing about {{2}}: {{3}} Reply STOP to end.",
    ),
)
_BY_ID: Final = {template.id: template for template in TEMPLATES}


class _Ticket(msgspec.Struct):
    id: int
    recipient: str
    opened_at: str
    messages: list[tuple[JournalEntry, Delivery]] = []


class PretendTrengo:
    """One agency's Trengo."""

    name = "trengo"

    def __init__(self, journal: Journal, key: str, message_micros: Micros) -> None:
        self._journal = journal
        self._key = key
        self._message_micros = message_micros
        self._read_count = 0
        self._tickets: dict[str, _Ticket] = {}
        self._contacts: dict[str, str] = {}
        self._responders: dict[str, Callable[[ProviderRequest], ProviderResponse]] = {
            "wa_sessions.create": self._send,
            "wa_templates.list": self._list_templates,
            "tickets.list": self._list_tickets,
            "tickets.messages": self._list_messages,
            "contacts.list": self._list_contacts,
            "contacts.create": self._create_contact,
            "channels.list": lambda _: json_response({"data": [_channel()]}),
        }

    def find_operation(self, method: str, path: str) -> Operation | None:
        """Return the operation of a path; None for a path that does not exist."""
        path = path.removeprefix("api/v2/").rstrip("/")
        name = _FIXED.get((method, path))
        if name:
            return Operation(name, _GROUP, is_shared=True)
        parts = path.split("/")
        if len(parts) != _PATH_PARTS:
            return None
        name = _NESTED.get((method, parts[0], parts[2]))
        return Operation(name, _GROUP, (parts[1],), is_shared=True) if name else None

    def accepts_key(self, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> bool:
        """Whether the personal access token is right."""
        del query
        return headers.get("authorization") == f"Bearer {self._key}"

    def refuse(
        self, refusal: RequestRefusal, operation: Operation | None, usage: WindowUsage | None
    ) -> ProviderResponse:
        """Return a refusal: Laravel's bodies, and a page of HTML for a path that does not exist."""
        del operation
        match refusal:
            case RequestRefusal.UNAUTHORIZED:
                return json_response({"message": "Unauthenticated."}, 401)
            case RequestRefusal.THROTTLED | RequestRefusal.OUT_OF_CREDITS:
                headers = {"Retry-After": str(whole_seconds(usage))} if usage else {}
                response = json_response({"message": "Too Many Attempts."}, 429)
                return msgspec.structs.replace(response, headers=headers)
            case RequestRefusal.SERVER_ERROR:
                return json_response({"message": "Server Error"}, 500)
            case RequestRefusal.NOT_FOUND:
                page = b"<!DOCTYPE html><title>Not found</title>"
                return ProviderResponse(body=page, status=404, content_type="text/html")

    def rate_headers(self, usages: Sequence[WindowUsage], now: float) -> dict[str, str]:
        """Return limit and remaining; the reset only where nothing is left."""
        if not usages:
            return {}
        usage = usages[0]
        headers = {
            "X-RateLimit-Limit": str(usage.limit.calls),
            "X-RateLimit-Remaining": str(usage.left),
        }
        if not usage.left:
            headers["X-RateLimit-Reset"] = str(int(now + whole_seconds(usage)))
        return headers

    def respond(self, request: ProviderRequest) -> ProviderResponse:
        """Return the response to one request."""
        return self._responders[request.operation.name](request)

    def _send(self, request: ProviderRequest) -> ProviderResponse:
        fields = read_json_object(request.body) or {}
        template, recipient = self._read_target(fields)
        if isinstance(template, ProviderResponse):
            return template
        if recipient is None:
            return _unfit("recipient_phone_number", "The recipient phone number is invalid.")
        parameters = _read_parameters(fields.get("params"))
        if len(parameters) != template.parameter_count or not all(parameters):
            return _unfit("params", "The params do not fit the template.")
        key = "|".join((recipient, str(template.id), *parameters))
        delivery = Delivery(
            recipient=recipient, key=key, parameters=parameters, template_id=str(template.id)
        )
        message = {"id": _number(f"{key}:{request.number}"), "ticket_id": _number(recipient)}
        return msgspec.structs.replace(
            json_response({"message": message}),
            delivery=delivery,
            credits=Decimal(1),
            amount_micros=self._message_micros,
        )

    def _read_target(
        self, fields: Mapping[str, Any]
    ) -> tuple[WhatsAppTemplate | ProviderResponse, str | None]:
        try:
            template = _BY_ID.get(int(fields.get("hsm_id") or 0))
        except (TypeError, ValueError):
            template = None
        if not fields.get("hsm_id"):
            return _unfit("hsm_id", "The hsm id field is required."), None
        if template is None:
            return _unfit("hsm_id", "The selected hsm id is invalid."), None
        phone, ticket_id = text_of(fields.get("recipient_phone_number")), fields.get("ticket_id")
        if phone:
            return template, _read_phone(phone)
        tickets = (
            ticket for ticket in self._read_tickets().values() if str(ticket.id) == ticket_id
        )
        ticket = next(tickets, None)
        return template, ticket.recipient if ticket else None

    def _read_tickets(self) -> dict[str, _Ticket]:
        """Return the tickets, brought up to date with the journal."""
        news = self._journal.deliveries[self._read_count :]
        self._read_count += len(news)
        for provider, entry, delivery in news:
            if provider != self.name:
                continue
            phone = delivery.recipient
            ticket = self._tickets.get(phone)
            if ticket is None:
                ticket = self._tickets[phone] = _Ticket(_number(phone), phone, _stamp(entry))
            ticket.messages.append((entry, delivery))
            self._contacts.setdefault(phone, "")
        return self._tickets

    def _list_tickets(self, request: ProviderRequest) -> ProviderResponse:
        term, contact = _first(request, "term"), _first(request, "contact_id")
        rows = [
            self._write_ticket(ticket)
            for ticket in reversed(self._read_tickets().values())
            if term in ticket.recipient and contact in {"", str(_number(f"c{ticket.recipient}"))}
        ]
        return _page(request, "tickets", rows, is_counted=True)

    def _list_messages(self, request: ProviderRequest) -> ProviderResponse:
        ticket_id = request.operation.arguments[0]
        tickets = self._read_tickets().values()
        ticket = next((ticket for ticket in tickets if str(ticket.id) == ticket_id), None)
        if ticket is None:
            return json_response({"message": "No query results for model [Ticket]."}, 404)
        rows = [_message(*sent) for sent in reversed(ticket.messages)]
        page = int(_first(request, "page") or 1)
        per_page = int(_first(request, "per_page") or _PER_PAGE)
        last = max(1, -(-len(rows) // per_page))
        page_rows = rows[(page - 1) * per_page : page * per_page]
        return json_response({"data": page_rows, "meta": {"current_page": page, "last_page": last}})

    def _list_contacts(self, request: ProviderRequest) -> ProviderResponse:
        self._read_tickets()
        term = _first(request, "term").lower()
        rows = [
            _contact(phone, name)
            for phone, name in self._contacts.items()
            if term in phone or term in name.lower()
        ]
        return _page(request, "contacts", rows, is_counted=False)

    def _list_templates(self, request: ProviderRequest) -> ProviderResponse:
        rows = [_template(template) for template in TEMPLATES]
        return _page(request, "wa_templates", rows, is_counted=False)

    def _create_contact(self, request: ProviderRequest) -> ProviderResponse:
        fields = read_json_object(request.body) or {}
        identifier = text_of(fields.get("identifier"))
        if not identifier:
            return _unfit("identifier", "The identifier field is required.")
        name = text_of(fields.get("name")) or self._contacts.get(identifier, "")
        self._contacts[identifier] = name
        return json_response(
            {
                "id": _number(f"c{identifier}"),
                "name": name,
                "email": None,
                "phone": identifier,
                "identifier": identifier,
            }
        )

    def _write_ticket(self, ticket: _Ticket) -> dict[str, Any]:
        entry, delivery = ticket.messages[-1]
        latest = _message(entry, delivery)
        name = self._contacts.get(ticket.recipient) or ticket.recipient
        return {
            "id": ticket.id,
            "status": "OPEN",
            "subject": None,
            "channel": _channel(),
            "contact": {
                "id": _number(f"c{ticket.recipient}"),
                "name": name,
                "email": None,
            },
            "latest_message": {
                name: latest[name] for name in ("id", "message", "type", "created_at")
            },
            "created_at": ticket.opened_at,
            "closed_at": None,
            "assignee": None,
        }


def _unfit(field: str, text: str) -> ProviderResponse:
    body = {"message": "The given data was invalid.", "errors": {field: [text]}}
    return json_response(body, 422)


def _number(text: str) -> int:
    """Return an id that is the same after a restart."""
    return 551_000_000 + int.from_bytes(blake2b(text.encode(), digest_size=5).digest())


def _first(request: ProviderRequest, name: str) -> str:
    return text_of(list(request.query.get(name, ())))


def _read_phone(phone: str) -> str | None:
    """Return a phone number; None for one that is not on WhatsApp, such as those ending in 999."""
    digits = phone.removeprefix("+")
    is_fit = digits.isdecimal() and len(digits) > 7 and not digits.endswith("999")  # noqa: PLR2004 - shortest number
    return f"+{digits}" if is_fit else None


def _read_parameters(fields: Any) -> tuple[str, ...]:
    """Return the parameters in the order of their `{{n}}` keys."""
    if not isinstance(fields, list) or not all(isinstance(item, dict) for item in fields):
        return ()
    pairs = sorted((text_of(item.get("key")), text_of(item.get("value"))) for item in fields)
    return tuple(value for _, value in pairs)


def _stamp(entry: JournalEntry) -> str:
    return entry.at[:19].replace("T", " ")


def _message(entry: JournalEntry, delivery: Delivery) -> dict[str, Any]:
    template = _BY_ID[int(delivery.template_id)]
    text = template.fill(delivery.parameters)
    return {
        "id": _number(f"{delivery.key}:{entry.at}"),
        "body": text,
        "message": text,
        "type": "OUTBOUND",
        "author_type": "User",
        "author": {"id": 61001, "name": "Grace Sample"},
        "attachments": [],
        "created_at": _stamp(entry),
    }


def _page(
    request: ProviderRequest, path: str, rows: Sequence[dict[str, Any]], *, is_counted: bool
) -> ProviderResponse:
    """Return a page as Laravel does; some lists do not say how many there are."""
    page = int(_first(request, "page") or 1)
    page_rows = rows[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    last = max(1, -(-len(rows) // _PER_PAGE))
    url = f"{_ROOT}/{path}"
    start = (page - 1) * _PER_PAGE + 1 if page_rows else None
    meta: dict[str, Any] = {
        "current_page": page,
        "from": start,
        "path": url,
        "per_page": _PER_PAGE,
        "to": start + len(page_rows) - 1 if start else None,
    }
    if is_counted:
        meta |= {"last_page": last, "total": len(rows)}
    links = {
        "first": f"{url}?page=1",
        "last": f"{url}?page={last}" if is_counted else None,
        "next": f"{url}?page={page + 1}" if page < last else None,
        "prev": f"{url}?page={page - 1}" if page > 1 else None,
    }
    return json_response({"data": page_rows, "links": links, "meta": meta})


def _template(template: WhatsAppTemplate) -> dict[str, Any]:
    body = {"id": 91, "type": "BODY", "sub_type": None, "value": template.text}
    return {
        "id": template.id,
        "title": template.title,
        "slug": template.title,
        "message": template.text,
        "channel_id": _CHANNEL_ID,
        "language": "en",
        "status": "ACCEPTED",
        "category": "MARKETING",
        "components": [body],
    }


def _contact(phone: str, name: str) -> dict[str, Any]:
    label = name or phone
    return {
        "id": _number(f"c{phone}"),
        "name": label,
        "full_name": label,
        "display_name": f"{label} ({phone})",
        "email": None,
        "phone": phone,
        "formatted_phone": phone,
        "identifier": phone,
        "is_phone": True,
        "is_private": False,
        "abbr": label[:1],
        "avatar": None,
        "color": "#009be5",
        "profile_image": None,
        "custom_field_data": [],
        "formatted_custom_field_data": [],
        "pivot": None,
        "profile": [],
        "channels": [_channel()],
    }


def _channel() -> dict[str, Any]:
    return {
        "id": _CHANNEL_ID,
        "name": "WA_BUSINESS",
        "type": "WA_BUSINESS",
        "title": "Sales WhatsApp",
        "display_name": "Sales WhatsApp",
        "text": "Sales WhatsApp",
        "phone": "+442079460001",
        "username": None,
        "status": "ACTIVE",
        "color": None,
        "auto_reply": "DISABLED",
        "business_hour_id": 4411,
        "emailChannel": None,
        "is_private": False,
        "notification_email": None,
        "notification_sound": "default",
        "password_is_null": True,
        "reassign_reopened_ticket": False,
        "reopen_closed_ticket": True,
        "reopen_closed_ticket_time_window_days": 7,
        "show_contact_fields": True,
        "show_ticket_fields": True,
        "users": [],
    }
