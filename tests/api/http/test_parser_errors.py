"""Bytes that are no request, and requests that never reach a route: all told as problems."""

import anyio
import pytest
from leadflood.api.http.parser_errors import HEADER_BYTES, LINE_BYTES, MOST_HEADERS

from tests.support.api import OPERATOR_TOKEN, Client
from tests.support.raw import connected, read_answer, send_raw

pytestmark = pytest.mark.pg
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
AUTH = b"Authorization: Bearer " + OPERATOR_TOKEN.encode() + b"\r\n"
POST = b"POST /v1/icps HTTP/1.1\r\n" + HOST + AUTH + JSON
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
SOCKET = b"GET /v1/events HTTP/1.1\r\n" + HOST + AUTH + UPGRADE
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NOT_READ: dict[str, tuple[bytes, int]] = {
    "no request": (b"hello\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "an unknown version": (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a method that is none": (b"G\x00T / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no path": (b"GET HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "NUL in the path": (b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "NUL in a header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400),
    "a header without a colon": (b"GET / HTTP/1.1\r\n" + HOST + b"X\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\n" + HOST + b"X : a\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "a long address": (
        b"GET /" + b"a" * 2 * LINE_BYTES + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        414,
    ),
    "a long header": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 2 * HEADER_BYTES + b"\r\n\r\n",
        431,
    ),
    "many headers": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * (MOST_HEADERS + 1) + b"\r\n",
        431,
    ),
    "a length and chunks": (
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        400,
    ),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "a length that is none": (POST + b"Content-Length: 2x\r\n\r\n{}", 400),
    "an endless length": (POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n", 400),
    "an unknown transfer encoding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "chunks twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk of no size": (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk of negative size": (CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk of endless size": (CHUNKED + b"f" * 40 + b"\r\n", 400),
    "a chunk longer than it says": (CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", 400),
    "an unknown expectation": (POST + b"Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", 417),
    "an unknown expectation of no route": (
        b"GET /nowhere HTTP/1.1\r\n" + HOST + b"Expect: 200-ok\r\n\r\n",
        417,
    ),
    "a WebSocket without a key": (SOCKET + b"Sec-WebSocket-Version: 13\r\n\r\n", 400),
    "a WebSocket of another version": (SOCKET + KEY + b"Sec-WebSocket-Version: 99\r\n\r\n", 400),
    "a WebSocket with a bad key": (
        SOCKET + b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
        400,
    ),
    "a WebSocket by POST": (
        SOCKET.replace(b"GET", b"POST") + KEY + b"Sec-WebSocket-Version: 13\r\n\r\n",
        405,
    ),
    "CONNECT": (b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "TRACE": (b"TRACE /health HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "OPTIONS of all": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404),
}


@pytest.mark.parametrize("name", NOT_READ)
async def test_an_unreadable_request_is_answered_with_a_problem(api: Client, name: str) -> None:
    raw, status = NOT_READ[name]

    answer = await send_raw(api, raw)

    assert answer.status == status, answer.body
    assert answer.problem["code"].startswith("http.")
    assert answer.problem["detail"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["Server"] == "leadflood"
    assert "Traceback" not in answer.body.decode()


async def test_nonsense_ends_its_connection(api: Client) -> None:
    async with connected(api) as socket:
        await socket.send(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
        good = await read_answer(socket)
        await socket.send(b"nonsense\r\n\r\n")
        bad = await read_answer(socket)
        with anyio.fail_after(5), pytest.raises(anyio.EndOfStream):
            await socket.receive()

    assert (good.status, bad.status) == (200, 400)


async def test_a_body_is_asked_for_only_when_it_is_wanted(api: Client) -> None:
    expecting = b"Expect: 100-continue\r\nContent-Length: 15\r\n\r\n"
    async with connected(api) as socket:
        await socket.send(POST + expecting)
        with anyio.fail_after(5):
            go_on = await socket.receive_exactly(len(GO_ON))
        await socket.send(b'{"name": "Wow"}')
        created = await read_answer(socket)
    refused = await send_raw(api, POST.replace(b"application/json", b"text/html") + expecting)

    assert go_on == GO_ON
    assert created.status == 201
    assert refused.status == 415


async def test_a_body_that_is_cut_ends_its_connection_and_nothing_else(api: Client) -> None:
    async with connected(api) as socket:
        await socket.send(POST + b'Content-Length: 100\r\n\r\n{"name')

    assert (await api.get("/health")).status == 200


async def test_an_upgrade_of_a_route_that_streams_nothing_is_answered_plainly(api: Client) -> None:
    answer = await send_raw(api, SOCKET.replace(b"/v1/events", b"/health") + KEY + b"\r\n")

    assert answer.status == 200


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/1.2", b"HTTP/1.7", b"HTTP/2.0"])
async def test_a_version_that_nobody_speaks_is_refused(api: Client, version: bytes) -> None:
    refused = await send_raw(api, b"GET /health " + version + b"\r\n" + HOST + b"\r\n")

    assert refused.status in {400, 505}
    assert refused.problem["code"] in {"http.version.refused", "http.message.malformed"}


async def test_a_user_agent_in_any_encoding_may_log_in(api: Client) -> None:
    viewer = await api.client_of("VIEWER", email="latin-agent@team.example")
    credentials = b'{"email": "latin-agent@team.example", "password": "a password of nobody else"}'
    length = str(len(credentials)).encode()

    answer = await send_raw(
        api,
        b"POST /v1/auth/login HTTP/1.1\r\n"
        + HOST
        + JSON
        + b"User-Agent: Caf\xe9 1.0\r\nContent-Length: "
        + length
        + b"\r\n\r\n"
        + credentials,
    )

    assert viewer.user_id
    assert answer.status == 200, answer.body
