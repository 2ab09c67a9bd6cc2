"""The pretend Trengo: WhatsApp templates, tickets with their messages, contacts, channels.

Source: `outbound/trengo.md` and its samples. All calls share 120 a minute. What it accepted is in
the books; tickets are read from there, so they outlive a restart.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

import msgspec

from leadflood.contracts.values import Micros
from leadflood.sandbox.books import Books, Delivery, Entry
from leadflood.sandbox.quota import Usage, whole_seconds
from leadflood.sandbox.shop import (
    Answer,
    Operation,
    Question,
    Refusal,
    read_object,
    say,
    text_of,
)

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


class Template(msgspec.Struct, frozen=True):
    """A message text that WhatsApp has accepted."""

    id: int
    title: str
    text: str

    @property
    def parameter_count(self) -> int:
        """How many placeholders there are to fill."""
        return self.text.count("{{")

    def fill(self, parameters: Sequence[str]) -> str:
        """Put the parameters in."""
        text = self.text
        for number, value in enumerate(parameters, 1):
            text = text.replace(f"{{{{{number}}}}}", value)
        return text


TEMPLATES: Final = (
    Template(48211, "intro_v1", "Hello {{1}}, this is about {{2}}. Reply STOP to end."),
    Template(
        48212,
        "intro_v2",
        "Hello {{1}}, I am writing about {{2}}: {{3}} Reply STOP to end.",
    ),
    Template(
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
    messages: list[tuple[Entry, Delivery]] = []


class Trengo:
    """One agency's Trengo."""

    name = "trengo"

    def __init__(self, books: Books, key: str, message_micros: Micros) -> None:
        self._books = books
        self._key = key
        self._message_micros = message_micros
        self._read_count = 0
        self._tickets: dict[str, _Ticket] = {}
        self._contacts: dict[str, str] = {}
        self._answers: dict[str, Callable[[Question], Answer]] = {
            "wa_sessions.create": self._send,
            "wa_templates.list": self._list_templates,
            "tickets.list": self._list_tickets,
            "tickets.messages": self._list_messages,
            "contacts.list": self._list_contacts,
            "contacts.create": self._create_contact,
            "channels.list": lambda _: say({"data": [_channel()]}),
        }

    def find_operation(self, method: str, path: str) -> Operation | None:
        """Tell what a path means; None for a path that does not exist."""
        path = path.removeprefix("api/v2/").rstrip("/")
        name = _FIXED.get((method, path))
        if name:
            return Operation(name, _GROUP, is_shared=True)
        parts = path.split("/")
        if len(parts) != _PATH_PARTS:
            return None
        name = _NESTED.get((method, parts[0], parts[2]))
        return Operation(name, _GROUP, (parts[1],), is_shared=True) if name else None

    def may_enter(self, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> bool:
        """Look at the personal access token."""
        del query
        return headers.get("authorization") == f"Bearer {self._key}"

    def refuse(self, refusal: Refusal, operation: Operation | None, usage: Usage | None) -> Answer:
        """Say no: Laravel's bodies, and a page of HTML for a path that does not exist."""
        del operation
        match refusal:
            case Refusal.UNAUTHORIZED:
                return say({"message": "Unauthenticated."}, 401)
            case Refusal.THROTTLED | Refusal.OUT_OF_CREDITS:
                headers = {"Retry-After": str(whole_seconds(usage))} if usage else {}
                answer = say({"message": "Too Many Attempts."}, 429)
                return msgspec.structs.replace(answer, headers=headers)
            case Refusal.SERVER_ERROR:
                return say({"message": "Server Error"}, 500)
            case Refusal.NOT_FOUND:
                page = b"<!DOCTYPE html><title>Not found</title>"
                return Answer(body=page, status=404, content_type="text/html")

    def rate_headers(self, usages: Sequence[Usage], now: float) -> dict[str, str]:
        """Tell limit and remaining; the reset only where nothing is left."""
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

    def answer(self, question: Question) -> Answer:
        """Answer one call."""
        return self._answers[question.operation.name](question)

    def _send(self, question: Question) -> Answer:
        asked = read_object(question.body) or {}
        template, recipient = self._read_target(asked)
        if isinstance(template, Answer):
            return template
        if recipient is None:
            return _unfit("recipient_phone_number", "The recipient phone number is invalid.")
        parameters = _read_parameters(asked.get("params"))
        if len(parameters) != template.parameter_count or not all(parameters):
            return _unfit("params", "The params do not fit the template.")
        key = "|".join((recipient, str(template.id), *parameters))
        delivery = Delivery(
            recipient=recipient, key=key, parameters=parameters, template_id=str(template.id)
        )
        message = {"id": _number(f"{key}:{question.number}"), "ticket_id": _number(recipient)}
        return msgspec.structs.replace(
            say({"message": message}),
            delivery=delivery,
            credits=Decimal(1),
            amount_micros=self._message_micros,
        )

    def _read_target(self, asked: Mapping[str, Any]) -> tuple[Template | Answer, str | None]:
        try:
            template = _BY_ID.get(int(asked.get("hsm_id") or 0))
        except (TypeError, ValueError):
            template = None
        if not asked.get("hsm_id"):
            return _unfit("hsm_id", "The hsm id field is required."), None
        if template is None:
            return _unfit("hsm_id", "The selected hsm id is invalid."), None
        phone, ticket_id = text_of(asked.get("recipient_phone_number")), asked.get("ticket_id")
        if phone:
            return template, _read_phone(phone)
        found = (ticket for ticket in self._read_tickets().values() if str(ticket.id) == ticket_id)
        ticket = next(found, None)
        return template, ticket.recipient if ticket else None

    def _read_tickets(self) -> dict[str, _Ticket]:
        """Take in what the books have gained since the last look."""
        news = self._books.deliveries[self._read_count :]
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

    def _list_tickets(self, question: Question) -> Answer:
        term, contact = _first(question, "term"), _first(question, "contact_id")
        rows = [
            self._write_ticket(ticket)
            for ticket in reversed(self._read_tickets().values())
            if term in ticket.recipient and contact in {"", str(_number(f"c{ticket.recipient}"))}
        ]
        return _page(question, "tickets", rows, is_counted=True)

    def _list_messages(self, question: Question) -> Answer:
        wanted = question.operation.arguments[0]
        tickets = self._read_tickets().values()
        ticket = next((ticket for ticket in tickets if str(ticket.id) == wanted), None)
        if ticket is None:
            return say({"message": "No query results for model [Ticket]."}, 404)
        rows = [_message(*sent) for sent in reversed(ticket.messages)]
        page = int(_first(question, "page") or 1)
        per_page = int(_first(question, "per_page") or _PER_PAGE)
        last = max(1, -(-len(rows) // per_page))
        shown = rows[(page - 1) * per_page : page * per_page]
        return say({"data": shown, "meta": {"current_page": page, "last_page": last}})

    def _list_contacts(self, question: Question) -> Answer:
        self._read_tickets()
        term = _first(question, "term").lower()
        rows = [
            _contact(phone, name)
            for phone, name in self._contacts.items()
            if term in phone or term in name.lower()
        ]
        return _page(question, "contacts", rows, is_counted=False)

    def _list_templates(self, question: Question) -> Answer:
        rows = [_template(template) for template in TEMPLATES]
        return _page(question, "wa_templates", rows, is_counted=False)

    def _create_contact(self, question: Question) -> Answer:
        asked = read_object(question.body) or {}
        identifier = text_of(asked.get("identifier"))
        if not identifier:
            return _unfit("identifier", "The identifier field is required.")
        name = text_of(asked.get("name")) or self._contacts.get(identifier, "")
        self._contacts[identifier] = name
        return say(
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


def _unfit(field: str, text: str) -> Answer:
    body = {"message": "The given data was invalid.", "errors": {field: [text]}}
    return say(body, 422)


def _number(text: str) -> int:
    """Make an id that is the same after a restart."""
    return 551_000_000 + int.from_bytes(blake2b(text.encode(), digest_size=5).digest())


def _first(question: Question, name: str) -> str:
    return text_of(list(question.query.get(name, ())))


def _read_phone(phone: str) -> str | None:
    """Read a number; those ending in 999 are not on WhatsApp."""
    digits = phone.removeprefix("+")
    is_fit = digits.isdecimal() and len(digits) > 7 and not digits.endswith("999")  # noqa: PLR2004 - shortest number
    return f"+{digits}" if is_fit else None


def _read_parameters(asked: Any) -> tuple[str, ...]:
    """Read them in the order of their `{{n}}` keys."""
    if not isinstance(asked, list) or not all(isinstance(item, dict) for item in asked):
        return ()
    pairs = sorted((text_of(item.get("key")), text_of(item.get("value"))) for item in asked)
    return tuple(value for _, value in pairs)


def _stamp(entry: Entry) -> str:
    return entry.at[:19].replace("T", " ")


def _message(entry: Entry, delivery: Delivery) -> dict[str, Any]:
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
    question: Question, path: str, rows: Sequence[dict[str, Any]], *, is_counted: bool
) -> Answer:
    """Write a page as Laravel does; some lists do not tell how many there are."""
    page = int(_first(question, "page") or 1)
    shown = rows[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    last = max(1, -(-len(rows) // _PER_PAGE))
    url = f"{_ROOT}/{path}"
    start = (page - 1) * _PER_PAGE + 1 if shown else None
    meta: dict[str, Any] = {
        "current_page": page,
        "from": start,
        "path": url,
        "per_page": _PER_PAGE,
        "to": start + len(shown) - 1 if start else None,
    }
    if is_counted:
        meta |= {"last_page": last, "total": len(rows)}
    links = {
        "first": f"{url}?page=1",
        "last": f"{url}?page={last}" if is_counted else None,
        "next": f"{url}?page={page + 1}" if page < last else None,
        "prev": f"{url}?page={page - 1}" if page > 1 else None,
    }
    return say({"data": shown, "links": links, "meta": meta})


def _template(template: Template) -> dict[str, Any]:
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
    shown = name or phone
    return {
        "id": _number(f"c{phone}"),
        "name": shown,
        "full_name": shown,
        "display_name": f"{shown} ({phone})",
        "email": None,
        "phone": phone,
        "formatted_phone": phone,
        "identifier": phone,
        "is_phone": True,
        "is_private": False,
        "abbr": shown[:1],
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
