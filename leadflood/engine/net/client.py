"""The HTTP client: one request, one capped answer, and an honest word on what was reached.

A failure before the request's last byte was handed to the socket is `Unreached`: the other side
cannot have acted on half a request. After that it is `Cut`: it may have.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp
import msgspec

from leadflood.engine.net.calls import Cut, HttpReply, Oversized, Unreached


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large an answer may be, and how many connections are open at once.

    `keepalive_seconds` stays below what servers keep (5 s and more): a request written to a
    connection that the other side has just closed cannot be told from one that was cut.
    """

    body_bytes: int = 16 * 1024 * 1024
    connections: int = 512
    connections_per_host: int = 256
    connect_timeout_seconds: float = 10.0
    keepalive_seconds: float = 4.0


DEFAULTS = Settings()


class _Progress(msgspec.Struct):
    """How much of a request was handed to the socket; aiohttp tells just before it writes."""

    expected_bytes: int
    written_bytes: int = 0
    has_begun: bool = False

    @property
    def is_written(self) -> bool:
        """Whether the other side may have the whole request."""
        return self.has_begun and self.written_bytes >= self.expected_bytes


class HttpClient:
    """Implements `Http` over one session. Made by `open_client`."""

    def __init__(self, session: aiohttp.ClientSession, settings: Settings) -> None:
        self._session = session
        self._settings = settings

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 30.0,
    ) -> HttpReply:
        """Send one request and read the whole answer.

        Waits: at most `timeout_seconds` in all. Cancelled, the connection is closed.
        Raises: Unreached, Cut, Oversized; never for a status.
        """
        progress = _Progress(len(body or b""))
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                params=params,
                data=body,
                timeout=self._timeout(timeout_seconds),
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response:
                return await self._read(response, method, url)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise _verdict(error, progress, f"{method} {_shown(url)}") from error

    def _timeout(self, timeout_seconds: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=timeout_seconds,
            sock_connect=min(timeout_seconds, self._settings.connect_timeout_seconds),
        )

    async def _read(self, response: aiohttp.ClientResponse, method: str, url: str) -> HttpReply:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > self._settings.body_bytes:
                response.close()
                raise Oversized(
                    f"{method} {_shown(url)} answered more than"
                    f" {self._settings.body_bytes} bytes; the rest was not read."
                )
            parts.append(part)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpReply(response.status, headers, b"".join(parts))


@asynccontextmanager
async def open_client(settings: Settings = DEFAULTS) -> AsyncIterator[HttpClient]:
    """Open the shared session: no cookies, no proxies from the environment, no redirects."""
    connector = aiohttp.TCPConnector(
        limit=settings.connections,
        limit_per_host=settings.connections_per_host,
        keepalive_timeout=settings.keepalive_seconds,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=[_trace()],
        headers={"User-Agent": "leadflood"},
    ) as session:
        # aiohttp sends a GET again on a closed connection: one line of ours, two on the invoice
        session._retry_connection = False  # noqa: SLF001 - there is no public switch
        yield HttpClient(session, settings)


def _trace() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_headers)
    trace.on_request_chunk_sent.append(_note_chunk)
    return trace


async def _note_headers(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    context.trace_request_ctx.has_begun = True


async def _note_chunk(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    params: aiohttp.TraceRequestChunkSentParams,
) -> None:
    context.trace_request_ctx.written_bytes += len(params.chunk)


def _verdict(error: Exception, progress: _Progress, request: str) -> Unreached | Cut:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if progress.is_written:
        return Cut(f"{request} was sent, but no whole answer came ({what}).")
    return Unreached(f"{request} was not reached ({what}); is the address right and the host up?")


def _shown(url: str) -> str:
    """Leave out the query: it may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
