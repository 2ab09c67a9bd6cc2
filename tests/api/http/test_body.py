"""Bodies made to harm: each ends in a 4xx, and memory stays where it was."""

import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import anyio
import psutil
import pytest
from leadflood.app import Node

from tests.support.api import OPERATOR_TOKEN, Answer, Client, running_api
from tests.support.raw import connected, read_answer, send_raw

pytestmark = pytest.mark.pg
HEAD = (
    b"POST /v1/icps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer " + OPERATOR_TOKEN.encode() + b"\r\n"
)
GIGABYTE = 1_000_000_000
PIECE = b'{"name": "' + b"x" * 65_526
MOST_GROWTH = 60_000_000
NAMED: dict[str, tuple[bytes, int]] = {
    "nested lists": (b"[" * 400_000, 422),
    "nested objects": (b'{"target":' * 90_000, 422),
    "closed nested lists in a field": (
        b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        422,
    ),
    "nested rules": (b'{"rules": [' * 50_000, 422),
    "a huge integer": (b'{"target": {"companySizeMin": ' + b"9" * 900_000 + b"}}", 422),
    "a huge exponent": (b'{"target": {"companySizeMin": 1e999999999}}', 422),
    "a tiny exponent": (b'{"name": "x", "target": {"companySizeMin": 1e-999999999}}', 422),
    "infinity": (b'{"target": {"companySizeMin": Infinity}}', 400),
    "a lone surrogate": (b'{"name": "\\ud800"}', 400),
    "invalid UTF-8": (b'{"name": "\xff\xfe"}', 400),
    "overlong UTF-8": (b'{"name": "\xc0\xaf"}', 400),
    "a byte order mark": (b'\xef\xbb\xbf{"name": "x"}', 400),
    "UTF-16": ('{"name": "x"}'.encode("utf-16"), 400),
    "NUL in a value": (b'{"name": "a\\u0000b"}', 422),
    "NUL between": (b'{"name": "x"}\x00', 400),
    "a comment": (b'{"name": "x" /* why */}', 400),
    "a trailing comma": (b'{"name": "x",}', 400),
    "nothing": (b"", 400),
    "blanks": (b" " * 1000, 400),
}


async def send(api: Client, headers: bytes, pieces: Callable[[], AsyncIterator[bytes]]) -> Answer:
    """Send a body piece by piece until the server has heard enough; give its answer."""

    async def send_all() -> None:
        with suppress(anyio.BrokenResourceError):
            async for piece in pieces():
                await socket.send(piece)

    async with connected(api) as socket, anyio.create_task_group() as group:
        await socket.send(HEAD + headers + b"\r\n")
        group.start_soon(send_all)
        answer = await read_answer(socket)
        group.cancel_scope.cancel()
    return answer


async def a_gigabyte() -> AsyncIterator[bytes]:
    for _ in range(GIGABYTE // len(PIECE)):
        yield PIECE


async def a_gigabyte_in_chunks() -> AsyncIterator[bytes]:
    async for piece in a_gigabyte():
        yield b"%x\r\n%b\r\n" % (len(piece), piece)


@pytest.mark.parametrize("name", NAMED)
async def test_a_body_made_to_harm_is_a_problem_of_its_sender(api: Client, name: str) -> None:
    raw, status = NAMED[name]

    refused = await api.post("/v1/icps", raw=raw)

    assert refused.status == status, refused.body[:300]
    assert refused.problem["code"].startswith("http.")
    assert len(refused.body) < 5_000


async def test_the_last_of_two_equal_keys_in_a_body_counts(api: Client) -> None:
    created = await api.post("/v1/icps", raw=b'{"name": "first", "name": "last"}')

    assert created.json["name"] == "last"


@pytest.mark.parametrize(
    ("headers", "pieces"),
    [
        (b"Transfer-Encoding: chunked\r\n", a_gigabyte_in_chunks),
        (b"Content-Length: %d\r\n" % GIGABYTE, a_gigabyte),
    ],
)
async def test_a_gigabyte_is_refused_and_memory_stays_flat(
    api: Client, headers: bytes, pieces: Callable[[], AsyncIterator[bytes]]
) -> None:
    process = psutil.Process()
    before = process.memory_info().rss

    refused = await send(api, headers, pieces)

    assert refused.status == 413
    assert refused.problem["code"] == "http.body.too_large"
    assert process.memory_info().rss - before < MOST_GROWTH


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x"])
async def test_a_compressed_body_is_not_unpacked(api: Client, encoding: str) -> None:
    process = psutil.Process()
    bomb = gzip.compress(b" " * 50_000_000)
    before = process.memory_info().rss

    refused = await api.post("/v1/icps", raw=bomb, headers={"Content-Encoding": encoding})

    assert refused.status == 415
    assert refused.problem["code"] == "http.body.encoded"
    assert refused.headers["Accept-Encoding"] == "identity"
    assert process.memory_info().rss - before < MOST_GROWTH


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "*/*",
        "json",
        ";",
        "",
    ],
)
async def test_a_body_of_another_kind_is_refused(api: Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}

    refused = await api.post("/v1/icps", raw=b'{"name": "x"}', headers=headers)

    assert refused.status == 415


async def test_a_body_that_drips_is_cut_off(node: Node) -> None:
    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await anyio.lowlevel.checkpoint()

    async with running_api(node, read_seconds=0.1) as api:
        dripping = await send(api, b"Content-Length: 1000000\r\n", drops)
        silent = await send_raw(api, HEAD + b"Content-Length: 10\r\n\r\n{")

    assert (dripping.status, silent.status) == (408, 408)
    assert dripping.headers["Connection"] == silent.headers["Connection"] == "close"


async def test_the_body_of_a_route_that_takes_none_is_ignored(api: Client) -> None:
    answer = await api.ask("GET", "/health", raw=b"{" * 100_000)

    assert answer.status == 200


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
async def test_no_body_is_an_empty_one_where_nothing_in_it_is_required(
    api: Client, headers: dict[str, str]
) -> None:
    pause = "/v1/admin/stages/message.send/pause"

    paused = await api.ask("PUT", pause, raw=None if not headers else b"", headers=headers)
    resumed = await api.ask("DELETE", pause)
    replayed = await api.ask("POST", "/v1/admin/dead-letter-replays", headers=headers)
    created = await api.ask("POST", "/v1/icps", headers=headers)
    changed = await api.ask("PATCH", "/v1/team", headers=headers)

    assert (paused.status, resumed.status) == (200, 200)
    assert (replayed.status, replayed.problem["code"]) == (422, "engine.invalid")  # as with {}
    assert (created.status, changed.status) == ((400, 400) if headers else (415, 415))
