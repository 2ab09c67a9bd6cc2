"""The pretend mail server: accepts mail from whoever knows the key, refuses some mailboxes.

Source: `outbound/smtp_email.md` and its reply samples. One message is one charge, referred to by
its Message-ID. Mailboxes `bounce…` are unknown (550), `grey…` greylisted (450), `full…` full (452),
`policy…` refused after the text (550 5.7.26).
"""

import asyncio
import logging
from decimal import Decimal
from email.parser import BytesHeaderParser
from typing import Any, Final

import anyio
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from typing_extensions import override

from leadflood.contracts.values import Micros
from leadflood.sandbox.faults import Fault, Injection
from leadflood.sandbox.journal import Delivery
from leadflood.sandbox.provider_protocol import ProviderResponse
from leadflood.sandbox.request_handler import SandboxState

# aiosmtpd warns of a name that it uses itself at every log-in
logging.getLogger("mail.log").setLevel(logging.ERROR)

_NAME: Final = "smtp"
_ACCEPTED: Final = "250 2.0.0 OK: queued"
_MOST_BYTES: Final = 5_000_000
_BY_MAILBOX: Final = (
    ("bounce", "550 5.1.1 User unknown"),
    ("grey", "450 4.7.1 Greylisted, try again later"),
    ("full", "452 4.2.2 Mailbox full"),
)
_REFUSED_TEXT: Final = "550 5.7.26 Unauthenticated mail not accepted"
_BEFORE_TEXT: Final = {
    Fault.THROTTLED: "450 4.7.28 Unusual rate of mail, try again later",
    Fault.THROTTLED_BARE: "450 4.7.28 Unusual rate of mail, try again later",
    Fault.SERVER_ERROR: "451 4.3.0 Temporary system problem",
}


class MailServer:
    """Creates one protocol per connection; all share one state."""

    def __init__(self, state: SandboxState, key: str, message_micros: Micros) -> None:
        self._state = state
        self._key = key
        self._message_micros = message_micros
        self._connections: set[_Connection] = set()

    def disconnect(self) -> None:
        """Close every connection."""
        for connection in tuple(self._connections):
            connection.disconnect()

    def __call__(self) -> SMTP:
        """Return the protocol of a new connection."""
        return _Connection(
            _MessageHandler(self._state, self._message_micros),
            self._connections,
            hostname="mail.sandbox.example",
            ident="leadflood sandbox",
            data_size_limit=_MOST_BYTES,
            auth_require_tls=False,
            authenticator=self._check,
            decode_data=False,
            loop=asyncio.get_running_loop(),
        )

    def _check(self, server: Any, session: Any, envelope: Any, mechanism: str, login: Any) -> Any:
        del server, session, envelope
        is_known = (
            mechanism in {"LOGIN", "PLAIN"}
            and isinstance(login, LoginPassword)
            and login.password == self._key.encode()
        )
        return AuthResult(success=is_known, handled=False)


class _Connection(SMTP):
    """aiosmtpd's protocol, with a way to disconnect."""

    def __init__(
        self, handler: "_MessageHandler", connections: set["_Connection"], **options: Any
    ) -> None:
        super().__init__(handler, **options)
        self._connections = connections
        self._wire: Any = None

    @override
    def connection_made(self, transport: Any) -> None:
        self._connections.add(self)
        self._wire = transport
        super().connection_made(transport)

    @override
    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(error)

    def disconnect(self) -> None:
        """Cut the connection, so that nothing more arrives."""
        if self._wire is not None:
            self._wire.abort()


class _MessageHandler:
    """Handles the messages of one connection."""

    def __init__(self, state: SandboxState, message_micros: Micros) -> None:
        self._state = state
        self._message_micros = message_micros
        self._injection: Injection | None = None

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name and signature
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        mail_options: list[str],
    ) -> str:
        """Begin a message: check the login and pick its fault."""
        del server
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        number = self._state.count_request(_NAME)
        self._injection = self._state.fault_injector.pick_fault(
            self._state.rules.seed, _NAME, number
        )
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name and signature
        self,
        server: _Connection,
        session: Session,
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],
    ) -> str:
        """Accept or refuse a recipient."""
        del session
        injection = self._injection
        refusal = _BEFORE_TEXT.get(injection.fault) if injection else None
        mailbox = address.lower()
        refusal = refusal or next(
            (reply for start, reply in _BY_MAILBOX if mailbox.startswith(start)), None
        )
        if refusal:
            self._record("", address, None, int(refusal[:3]))
            return refusal
        if injection and injection.is_early and injection.fault is Fault.CUT:
            self._record("", address, None, 0)
            server.disconnect()
            await anyio.sleep_forever()
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: _Connection, session: Session, envelope: Envelope
    ) -> str:
        """Accept the text: recorded first, answered after."""
        del session
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        key, reference = _read_identifiers(content)
        recipient = ", ".join(envelope.rcpt_tos)
        call = self._state.open(_NAME, "send", reference)
        try:
            return await self._take(server, recipient, (key, reference), content, call)
        finally:
            self._state.close(call)

    async def _take(
        self, server: _Connection, recipient: str, names: tuple[str, str], content: bytes, call: int
    ) -> str:
        injection = self._injection
        key, reference = names
        if recipient.lower().startswith("policy"):
            self._record(reference, recipient, None, 550)
            return _REFUSED_TEXT
        if injection and injection.is_early and injection.fault is Fault.TIMEOUT:
            self._record(reference, recipient, None, 0)
            await anyio.sleep_forever()
        delivery = Delivery(recipient=recipient, key=key, body_bytes=len(content))
        self._record(reference, recipient, delivery, 250)
        self._state.mark_done(call)
        await self._state.wait(_NAME, injection)
        return await self._reply(server, injection)

    async def _reply(self, server: _Connection, injection: Injection | None) -> str:
        fault = injection.late_fault if injection else None
        if fault in {Fault.CUT, Fault.ACTED_5XX}:  # mail has no gateway with pages of its own
            server.disconnect()
        if fault in {Fault.CUT, Fault.ACTED_5XX, Fault.TIMEOUT}:
            await anyio.sleep_forever()
        return "Tuesday is not a reply" if fault is Fault.GARBAGE else _ACCEPTED

    def _record(
        self, reference: str, recipient: str, delivery: Delivery | None, status: int
    ) -> None:
        del recipient
        response = ProviderResponse(
            body=b"",
            status=status,
            credits=Decimal(1) if delivery else Decimal(0),
            amount_micros=self._message_micros if delivery else 0,
            delivery=delivery,
        )
        self._state.journal.record(
            self._state.entry(_NAME, "send", reference, response, self._injection)
        )


def _read_identifiers(content: bytes) -> tuple[str, str]:
    """Return the key of a message, and the call reference that its invoice line will name.

    Without an `X-Request-ID` the Message-ID is both.
    """
    headers = BytesHeaderParser().parsebytes(content)
    key = str(headers.get("Message-ID") or "").strip()
    return key, str(headers.get("X-Request-ID") or "").strip() or key
