"""The pretend mail server: takes mail from whoever knows the key, refuses some mailboxes.

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
from leadflood.sandbox.books import Delivery
from leadflood.sandbox.desk import Desk
from leadflood.sandbox.faults import Fault, Hit
from leadflood.sandbox.shop import Answer

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
    """Makes one protocol a connection, all of one desk."""

    def __init__(self, desk: Desk, key: str, message_micros: Micros) -> None:
        self._desk = desk
        self._key = key
        self._message_micros = message_micros
        self._connections: set[_Connection] = set()

    def hang_up(self) -> None:
        """Close every connection."""
        for connection in tuple(self._connections):
            connection.hang_up()

    def __call__(self) -> SMTP:
        """Greet one connection."""
        return _Connection(
            _Sink(self._desk, self._message_micros),
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
    """aiosmtpd's protocol, with a way to hang up."""

    def __init__(self, sink: "_Sink", connections: set["_Connection"], **options: Any) -> None:
        super().__init__(sink, **options)
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

    def hang_up(self) -> None:
        """Cut the connection, so that nothing more arrives."""
        if self._wire is not None:
            self._wire.abort()


class _Sink:
    """What happens to a message; one a connection."""

    def __init__(self, desk: Desk, message_micros: Micros) -> None:
        self._desk = desk
        self._message_micros = message_micros
        self._hit: Hit | None = None

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name and signature
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        mail_options: list[str],
    ) -> str:
        """Begin a message: who writes, and is it one of our days."""
        del server
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        number = self._desk.count_visit(_NAME)
        self._hit = self._desk.weather.strike(self._desk.rules.seed, _NAME, number)
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
        """Take or refuse a recipient."""
        del session
        hit = self._hit
        refusal = _BEFORE_TEXT.get(hit.fault) if hit else None
        mailbox = address.lower()
        refusal = refusal or next(
            (reply for start, reply in _BY_MAILBOX if mailbox.startswith(start)), None
        )
        if refusal:
            self._record("", address, None, int(refusal[:3]))
            return refusal
        if hit and hit.is_early and hit.fault is Fault.CUT:
            self._record("", address, None, 0)
            server.hang_up()
            await anyio.sleep_forever()
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: _Connection, session: Session, envelope: Envelope
    ) -> str:
        """Take the text: written down first, answered after."""
        del session
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        key, reference = _names_of(content)
        recipient = ", ".join(envelope.rcpt_tos)
        call = self._desk.open(_NAME, "send", reference)
        try:
            return await self._take(server, recipient, (key, reference), content, call)
        finally:
            self._desk.close(call)

    async def _take(
        self, server: _Connection, recipient: str, names: tuple[str, str], content: bytes, call: int
    ) -> str:
        hit = self._hit
        key, reference = names
        if recipient.lower().startswith("policy"):
            self._record(reference, recipient, None, 550)
            return _REFUSED_TEXT
        if hit and hit.is_early and hit.fault is Fault.TIMEOUT:
            self._record(reference, recipient, None, 0)
            await anyio.sleep_forever()
        delivery = Delivery(recipient=recipient, key=key, body_bytes=len(content))
        self._record(reference, recipient, delivery, 250)
        self._desk.mark_done(call)
        await self._desk.wait(_NAME, hit)
        return await self._reply(server, hit)

    async def _reply(self, server: _Connection, hit: Hit | None) -> str:
        fault = hit.fault if hit else None
        if fault is Fault.CUT:
            server.hang_up()
        if fault in {Fault.CUT, Fault.TIMEOUT}:
            await anyio.sleep_forever()
        return "Tuesday is not a reply" if fault is Fault.GARBAGE else _ACCEPTED

    def _record(
        self, reference: str, recipient: str, delivery: Delivery | None, status: int
    ) -> None:
        del recipient
        answer = Answer(
            body=b"",
            status=status,
            credits=Decimal(1) if delivery else Decimal(0),
            amount_micros=self._message_micros if delivery else 0,
            delivery=delivery,
        )
        self._desk.books.record(self._desk.entry(_NAME, "send", reference, answer, self._hit))


def _names_of(content: bytes) -> tuple[str, str]:
    """Tell which message it is, and the call reference that its invoice line will name.

    Without an `X-Request-ID` the Message-ID is both.
    """
    headers = BytesHeaderParser().parsebytes(content)
    key = str(headers.get("Message-ID") or "").strip()
    return key, str(headers.get("X-Request-ID") or "").strip() or key
