"""E-mail over SMTP: one message to one recipient, built here, handed to the operator's server.

Plan: any server that takes submissions; address in `base_url` (`smtp://user@host:587`,
`smtps://user@host:465`), password in `api_key` (a relay that asks for none needs none).
Docs: RFC 5321, 5322, 8058, 3463; bulk-sender rules of Gmail, Yahoo and Microsoft, read 2026-11-01.

Until the final dot is written the server cannot have taken the message; from then on a cut or a
silence is `Unsure`. A server names no messages, so `look_up` cannot tell (a Sent folder could).
"""

import html
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import datetime
from decimal import Decimal
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit
from uuid import UUID

import aiosmtplib
import msgspec
from anyio import move_on_after

from leadflood.contracts.addresses import ascii_domain
from leadflood.contracts.errors import ProviderKeyRefused, ProviderRefused
from leadflood.contracts.ports.sender import Arrival, OutgoingMessage, Receipt, Sender
from leadflood.contracts.provider_client import (
    ProviderClient,
    ProviderEndpoint,
    Question,
    canonical,
)
from leadflood.contracts.provider_spec import ProviderSettings, ProviderSpec
from leadflood.contracts.text_cleaning import single_line
from leadflood.contracts.values import Channel
from leadflood.contracts.vendor_http import Vendor
from leadflood.engine.clock import Clock
from leadflood.engine.errors import FieldProblem, Invalid, NotConfigured, Transient, Unsure
from leadflood.engine.net.calls import Call, Gate, Http, Reply, Unreached, Window
from leadflood.engine.net.connection_pool import (
    ConnectionPool,
    Pooled,
    Settings as PoolSettings,
    TooMany,
)
from leadflood.engine.text import header_line, is_one_line, make_storable, one_line

SPEC = ProviderSpec(
    name="smtp",
    implements={Sender: "message.send"},
    base_url="smtp://localhost:25",
    docs_url="https://www.rfc-editor.org/rfc/rfc5321",
    read_on="2026-11-01",
    plan="the operator's own server",
    secrets=("base_url",),
    credits={"message.send": Decimal(1)},
    limits={"server": (Window(20, 1),)},
    terms="the server's own; bulk-sender rules: SPF, DKIM, DMARC, one-click unsubscribe",
)

_VENDOR = Vendor(spec=SPEC, label="the mail server")
_SEND = ProviderEndpoint("message.send", "server", is_effect=True)

_MOST_CONNECTIONS = 64
_TOO_SLOW = "the mail server was too slow to get as far as the mail"
_SOFT_RETRY_SECONDS = 300.0
_POLICY_RETRY_SECONDS = 900.0

# Headers may be 998 characters long; folding a List-Unsubscribe would encode and so break it.
_ONE_LINE_HEADERS = SMTP_POLICY.clone(max_line_length=998)
_REFERENCE = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")
_LINK = re.compile(r"https?://[^\s<>\"')]+[^\s<>\"').,;:!?]")

Kind = Literal["hard", "soft", "policy", "config"]

_ENHANCED = re.compile(r"\s*[245]\.(\d{1,3})\.(\d{1,3})\b")
_CONFIG_CODES = {530, 534, 535, 538}
# What an enhanced code means whatever its first digit: never blame an address for a policy.
_KINDS: dict[tuple[int, int], Kind] = {
    **{(1, detail): "hard" for detail in (1, 2, 3, 6, 10)},
    (2, 1): "hard",
    (4, 4): "hard",
    (2, 2): "soft",
    (3, 4): "soft",
    (4, 7): "soft",
}
_GREYLISTED = (7, 1)
_POLICY_SUBJECTS = {6, 7}
_NOBODY = re.compile(
    r"no such (user|recipient|mailbox)|(user|recipient|mailbox|address)( is)? (unknown|not found)"
    r"|unknown (user|recipient|mailbox)|does not exist|invalid recipient",
    re.IGNORECASE,
)


def list_missing(settings: ProviderSettings) -> tuple[str, ...]:
    """List what a user in the server's address needs besides; a relay without one needs nothing."""
    try:
        parts = urlsplit(settings.base_url)
    except ValueError:
        return ()
    has_password = settings.api_key or parts.password
    return () if has_password or not parts.username else ("api_key",)


class _Server(msgspec.Struct, frozen=True):
    host: str
    port: int
    user: str | None
    password: str | None
    use_tls: bool
    start_tls: bool | None


class Smtp:
    """Sends e-mail.

    Extra settings: `starttls` (true: required, false: never; absent: required with a user,
    else where offered), `validate_certs` (default true), `local_hostname` (default: the
    sender's domain), `retry_seconds` (how long a "not now" is waited for; default 300, and 900
    where it is the sender's reputation), `connections` (how many are open at once, where the
    server allows as many; default 64).
    """

    name = SPEC.name
    channel = Channel.EMAIL

    def __init__(self, settings: ProviderSettings, gate: Gate, http: Http, clock: Clock) -> None:
        # SMTP has a wire of its own; of the client only the way through the gate is used.
        self._client = ProviderClient(_VENDOR, settings, gate, http, clock)
        self._settings = settings
        self._clock = clock
        self._pool: ConnectionPool[aiosmtplib.SMTP] | None = None

    async def send(self, message: OutgoingMessage) -> Receipt:
        """Hand one e-mail over, once.

        The connection is open and the server has taken sender and recipient before the gate lets
        the mail go: what is in doubt after a crash is no more than mails on the wire.
        """
        server = _server(self._settings)
        mail = build_mail(message, self._clock.now())
        opened: list[Pooled[aiosmtplib.SMTP]] = []

        @asynccontextmanager
        async def open_envelope() -> AsyncIterator[None]:
            async with AsyncExitStack() as stack:
                with self._own_wait():
                    opened.append(await self._open_envelope(server, mail, stack))
                yield

        async def send(reference: UUID) -> Reply:
            mail["X-Request-ID"] = str(reference)
            with self._own_wait():
                text = await self._deliver(opened[-1], mail)
            return Reply(body=text.encode(), cost_micros=self._client.price("message.send"))

        reply = await self._client.pass_gate(self._call(message), send, open_envelope)
        detail = single_line(reply.body.decode("utf-8", "replace"))
        return Receipt(remote_id=message.reference, detail=detail)

    async def look_up(self, message: OutgoingMessage, since: datetime) -> Arrival:
        """Return `CANNOT_TELL`: SMTP names no messages."""
        del message, since
        return Arrival.CANNOT_TELL

    async def aclose(self) -> None:
        """Close the idle connections."""
        if self._pool is not None:
            self._pool.close()

    def _call(self, message: OutgoingMessage) -> Call:
        key = canonical([message.intent_id, message.reference])
        call = self._client.make_call(_SEND, Question(key=key, subjects=(message.subject_id,)))
        # Twice: once to the final dot, and once for the verdict.
        return msgspec.structs.replace(call, timeout_seconds=2 * call.timeout_seconds)

    @contextmanager
    def _own_wait(self) -> Iterator[None]:
        """Give a "not now" the operator's own wait."""
        try:
            yield
        except Transient as error:
            wait = self._settings.extra.get("retry_seconds")
            if wait is None or error.retry_after_seconds is None:
                raise
            raise Transient(error.detail, float(wait), code=error.error_code) from error

    async def _open_envelope(
        self, server: _Server, mail: EmailMessage, stack: AsyncExitStack
    ) -> Pooled[aiosmtplib.SMTP]:
        """Return a connection on which the server has taken sender and recipient."""
        if self._pool is None:
            self._pool = self._make_pool(server, _spec_of(mail, "From"))
        with move_on_after(self._settings.timeout_seconds):
            pooled = await stack.enter_async_context(self._pool.lend())
            with _unreached():
                await pooled.connection.mail(_spec_of(mail, "From"))
                await pooled.connection.rcpt(_spec_of(mail, "To"))
            pooled.is_good = True
            return pooled
        raise Unreached(_TOO_SLOW)

    async def _deliver(self, pooled: Pooled[aiosmtplib.SMTP], mail: EmailMessage) -> str:
        """Deliver the mail of an envelope; the connection is used again only after a success."""
        pooled.is_good = False
        protocol = None
        with move_on_after(self._settings.timeout_seconds):
            protocol = await self._write_mail(pooled.connection, mail)
        if protocol is None:
            raise Unreached(_TOO_SLOW)
        answer = await self._verdict(protocol)
        pooled.is_good = True
        return answer

    async def _write_mail(
        self, client: aiosmtplib.SMTP, mail: EmailMessage
    ) -> aiosmtplib.protocol.SMTPProtocol:
        """Write the mail and, last, its final dot: no await stands behind it."""
        with _unreached():
            protocol = client.protocol
            go_ahead = await client.execute_command(b"DATA")
            if go_ahead.code != 354 or protocol is None:  # noqa: PLR2004 - SMTP's own number
                raise _refusal(go_ahead.code, go_ahead.message)
            protocol.write(_dotted(mail.as_bytes(policy=_ONE_LINE_HEADERS)))
            await self._clock.sleep(0)  # a cut that has come in by now is seen before the dot
            protocol.write(b".\r\n")
        return protocol

    async def _verdict(self, protocol: aiosmtplib.protocol.SMTPProtocol) -> str:
        """Read the server's verdict on a mail whose final dot is written."""
        try:
            response = await protocol.read_response(timeout=self._settings.timeout_seconds)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Unsure(f"the mail was handed over, the answer was lost: {error}") from error
        if 200 <= response.code < 300:  # noqa: PLR2004 - the borders of RFC 5321's class
            return response.message
        if 400 <= response.code < 600:  # noqa: PLR2004 - the borders of RFC 5321's classes
            raise _refusal(response.code, response.message)
        raise Unsure(f"the mail was handed over, the answer makes no sense: {response.code}")

    def _make_pool(self, server: _Server, sender: str) -> ConnectionPool[aiosmtplib.SMTP]:
        connections = int(self._settings.extra.get("connections", _MOST_CONNECTIONS))
        return ConnectionPool(
            lambda: self._connect(server, sender),
            _is_alive,
            lambda client: client.close(),
            self._clock,
            PoolSettings(connections=connections),
        )

    async def _connect(self, server: _Server, sender: str) -> aiosmtplib.SMTP:
        named = str(self._settings.extra.get("local_hostname", "")) or sender.rpartition("@")[2]
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            local_hostname=named,
            timeout=self._settings.timeout_seconds,
            use_tls=server.use_tls,
            start_tls=server.start_tls,
            validate_certs=bool(self._settings.extra.get("validate_certs", True)),
        )
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            client.close()
            raise _unconnected(error) from error
        except BaseException:
            client.close()
            raise
        return client


async def _is_alive(client: aiosmtplib.SMTP) -> bool:
    try:
        return (await client.rset()).code == 250  # noqa: PLR2004 - SMTP's own number
    except (aiosmtplib.SMTPException, OSError):
        return False


@contextmanager
def _unreached() -> Iterator[None]:
    """Translate what the server says, or that it hung up, before it has the mail."""
    try:
        yield
    except aiosmtplib.SMTPResponseException as error:
        raise _refusal(error.code, error.message) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise Unreached(f"the mail server hung up before it had the mail: {error}") from error


def _unconnected(error: Exception) -> Exception:
    """Return why no connection came about, in our words; nothing was handed over."""
    match error:
        case aiosmtplib.SMTPAuthenticationError() if error.code >= 500:  # noqa: PLR2004 - RFC 5321's class
            return ProviderKeyRefused(
                "the mail server refuses the login: set providers.smtp.base_url (user) and "
                f"providers.smtp.api_key (password); it says: {error.message}"
            )
        case aiosmtplib.SMTPResponseException():
            refusal = _refusal(error.code, error.message)
            if isinstance(refusal, Transient) and error.code >= 400:  # noqa: PLR2004 - RFC 5321's class
                wait = refusal.retry_after_seconds
                return TooMany(refusal.detail, wait, code=refusal.error_code)
            return refusal
        case aiosmtplib.SMTPConnectError() | aiosmtplib.SMTPServerDisconnected() | OSError():
            return Unreached(f"the mail server cannot be reached: {error}")
        case _:
            return ProviderKeyRefused(
                f"the mail server does not do what is set: {error}; see "
                "providers.smtp.extra.starttls and the user in base_url",
                code="smtp.config",
            )


def classify(code: int, text: str) -> Kind:
    """Return what a 4xx or 5xx blames: the address, the moment, our reputation, our settings.

    Source: RFC 3463; conservative, as unknown counts as soft.
    """
    if code in _CONFIG_CODES:
        return "config"
    enhanced = _ENHANCED.match(text)
    if enhanced is None:
        return "hard" if code >= 500 and _NOBODY.search(text) else "soft"  # noqa: PLR2004 - RFC 5321's class
    subject, detail = int(enhanced[1]), int(enhanced[2])
    if subject in _POLICY_SUBJECTS:
        is_greylisted = code < 500 and (subject, detail) == _GREYLISTED  # noqa: PLR2004 - RFC 5321's class
        return "soft" if is_greylisted else "policy"
    if (subject, detail) == (0, 0) and _NOBODY.search(text):
        return "hard"
    return _KINDS.get((subject, detail), "soft")


def _refusal(code: int, text: str) -> Exception:
    """Return a reply's error: 4xx is for later, 5xx for good, and neither took the mail."""
    kind = classify(code, text)
    text = f"the mail server says {code} {single_line(text, 300)}"
    if 400 <= code < 500:  # noqa: PLR2004 - the borders of RFC 5321's class
        wait = _POLICY_RETRY_SECONDS if kind == "policy" else _SOFT_RETRY_SECONDS
        return Transient(text, wait, code=f"smtp.{kind}")
    if code < 400:  # noqa: PLR2004 - the border of RFC 5321's class
        return Unreached(f"{text}, out of turn and before it had the mail")
    if kind == "config":
        return ProviderKeyRefused(f"{text}: set providers.smtp.base_url and api_key")
    return ProviderRefused(text, code=f"smtp.{kind}")


def build_mail(message: OutgoingMessage, now: datetime) -> EmailMessage:
    """Return the MIME message: text first, a plain HTML beside it, every header checked."""
    _check(message)
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = _address("from_address", message.from_address, message.from_name)
    mail["To"] = _address("to", message.to, message.to_name)
    if message.reply_to:
        mail["Reply-To"] = _address("reply_to", message.reply_to, "")
    mail["Subject"] = header_line(message.subject)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = message.reference
    for name, value in _unsubscribe(message):
        mail[name] = value
    text = _storable(message.text)
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(_html(text), subtype="html", cte="quoted-printable")
    return mail


_HEADER_FIELDS = (
    "reference",
    "to",
    "to_name",
    "from_address",
    "from_name",
    "reply_to",
    "subject",
    "unsubscribe_url",
    "unsubscribe_mailto",
)


def _check(message: OutgoingMessage) -> None:
    """Refuse what could break out of a header, or leave one empty that must not be."""
    problems = [
        FieldProblem(name, "must be one line, all of it visible")
        for name in _HEADER_FIELDS
        if not is_one_line(getattr(message, name))
    ]
    problems += [
        FieldProblem(name, "must hold no space, comma or angle bracket")
        for name in ("unsubscribe_url", "unsubscribe_mailto")
        if any(sign in " ,<>" for sign in getattr(message, name))
    ]
    if not message.subject.strip():
        problems.append(FieldProblem("subject", "must not be empty"))
    if not message.text.strip():
        problems.append(FieldProblem("text", "must not be empty"))
    if not _REFERENCE.fullmatch(message.reference):
        problems.append(FieldProblem("reference", "must look like <id@domain>"))
    if problems:
        raise Invalid("this e-mail cannot be built: mend the fields", tuple(problems))


def _address(field: str, spec: str, name: str) -> Address:
    local, _, domain = spec.strip().rpartition("@")
    try:
        address = Address(one_line(name), addr_spec=f"{local}@{ascii_domain(domain)}")
        local.encode("ascii")
    except (MessageError, ValueError, IndexError) as error:
        raise Invalid.field(
            field, "write it as name@domain", detail=f"{field} is no address that mail can go to"
        ) from error
    if not (address.username and address.domain):
        raise Invalid.field(field, "write it as name@domain", detail=f"{field} is empty")
    return address


def _unsubscribe(message: OutgoingMessage) -> list[tuple[str, str]]:
    """Return RFC 2369's header, and RFC 8058's where there is an https address to post to."""
    mailto = message.unsubscribe_mailto
    if mailto and not mailto.startswith("mailto:"):
        mailto = f"mailto:{mailto}"
    ways = [f"<{way}>" for way in (message.unsubscribe_url, mailto) if way]
    if not ways:
        return []
    headers = [("List-Unsubscribe", ", ".join(ways))]
    if message.unsubscribe_url.startswith("https://"):
        headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    return headers


def _html(text: str) -> str:
    paragraphs = [html.escape(part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip()]
    linked = (_LINK.sub(r'<a href="\g<0>">\g<0></a>', part) for part in paragraphs)
    lines = (part.replace("\n", "<br>\n") for part in linked)
    return "".join(f"<p>{part}</p>\n" for part in lines)


def _storable(text: str) -> str:
    """Return an encodable text (no lone surrogate) with plain line ends and no NUL."""
    return make_storable(text).replace("\r\n", "\n").replace("\r", "\n")


def _spec_of(mail: EmailMessage, header: str) -> str:
    return str(mail[header].addresses[0].addr_spec)


def _dotted(raw: bytes) -> bytes:
    """Return the mail with dots doubled at line starts (RFC 5321 §4.5.2) and a line end last."""
    dotted = re.sub(rb"(?m)^\.", b"..", raw)
    return dotted if dotted.endswith(b"\r\n") else dotted + b"\r\n"


def _server(settings: ProviderSettings) -> _Server:
    """Return the server's address and login."""
    parts, port = _split_address(settings.base_url)
    is_tls = parts.scheme == "smtps"
    user = unquote(parts.username) if parts.username else None
    password = settings.api_key or (unquote(parts.password) if parts.password else None)
    if user and not password:
        raise NotConfigured(
            "the mail server's user has no password: set providers.smtp.api_key, or take the user"
            " out of providers.smtp.base_url where the server asks for none"
        )
    choice = settings.extra.get("starttls")
    upgrade = bool(choice) if choice is not None else (True if user else None)
    return _Server(
        host=parts.hostname or "",
        port=port or (465 if is_tls else 587 if user else 25),
        user=user,
        password=password,
        use_tls=is_tls,
        start_tls=False if is_tls else upgrade,
    )


def _split_address(base_url: str) -> tuple[SplitResult, int | None]:
    """Return the parts of the server's address, and its port.

    Raises: NotConfigured, naming the setting.
    """
    advice = "set providers.smtp.base_url to smtp://user@host:587 or smtps://user@host:465"
    if not base_url:
        raise NotConfigured(f"there is no mail server: {advice}")
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError as error:
        raise NotConfigured(f"the mail server's address cannot be read: {advice}") from error
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise NotConfigured(f"the mail server's address cannot be read: {advice}")
    return parts, port
