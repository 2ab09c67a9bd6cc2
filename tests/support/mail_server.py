"""A real mail server of a test's own, that keeps what it is handed."""

import asyncio
import email
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd import smtp as aiosmtpd


class Sink:
    """A real server's handler that keeps what it got and answers as the test says."""

    def __init__(self) -> None:
        self.got: list[tuple[str, list[str], EmailMessage]] = []
        self.sessions: set[int] = set()
        self.greeted: set[int] = set()
        self.recipients: list[str] = []
        self.most = 1_000
        self.say: dict[str, str] = {}

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        del server, envelope
        if len(self.greeted) >= self.most:
            return ["421 4.7.0 Too many connections from your host"]
        self.greeted.add(id(session))
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        del server, session, options
        envelope.mail_from = address
        return self.say.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        del server, session, options
        self.recipients.append(address)
        if "RCPT" not in self.say:
            envelope.rcpt_tos.append(address)
        return self.say.get("RCPT", "250 2.1.5 OK")

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: aiosmtpd.SMTP, session: aiosmtpd.Session, envelope: aiosmtpd.Envelope
    ) -> str:
        del server
        if "DATA" in self.say:
            return self.say["DATA"]
        raw = envelope.content
        assert isinstance(raw, bytes)
        self.sessions.add(id(session))
        mail = email.message_from_bytes(raw, policy=policy.SMTP)
        self.got.append((str(envelope.mail_from), envelope.rcpt_tos, mail))
        return "250 2.0.0 queued as 4711"


@asynccontextmanager
async def mail_server(sink: Sink) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: aiosmtpd.SMTP(sink, hostname="sink.example.com", loop=loop), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
