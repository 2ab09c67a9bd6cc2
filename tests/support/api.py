"""A real node with its API on a free port, and a client for it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import msgspec
from leadflood.api.listening import Settings as HttpSettings
from leadflood.api.server import listening
from leadflood.app import Node, Storage, open_node
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database, Settings as DatabaseSettings
from leadflood.settings import convert

JSON = {"Content-Type": "application/json"}
NOBODY = "http://127.0.0.1:9"
"""Where nobody listens: a provider that is configured and down."""


class Answer(msgspec.Struct, frozen=True):
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def problem(self) -> Any:
        """The problem document; fails when it is none."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        told = self.json
        assert told["status"] == self.status
        assert told["requestId"] == self.headers["X-Request-ID"]
        return told


class Client:
    """Asks one API."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self.address = address
        self._session = session

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        data = raw if raw is not None else None if body is None else msgspec.json.encode(body)
        given = {**(JSON if data is not None else {}), **(headers or {})}
        async with self._session.request(
            method, self.address + path, data=data, headers=given
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.ask("POST", path, body, **more)

    async def wait_for_job(self, job_id: str) -> Any:
        """Look at a job until it is settled."""
        with anyio.fail_after(10):
            while (job := (await self.get(f"/v1/jobs/{job_id}")).json)["finishedAt"] is None:
                await anyio.lowlevel.checkpoint()
        return job


@asynccontextmanager
async def running_node(
    database: Database, settings: DatabaseSettings, folder: Path
) -> AsyncIterator[Node]:
    """Run a node on a test's database; Apollo is configured and down."""
    wanted = {
        "mode": "sandbox",
        "data": str(folder),
        "http": {"public_url": "https://leads.example"},
        "messaging": {
            "sender_name": "Ann",
            "sender_address": "ann@ours.example",
            "postal_address": "1 Street",
            "hash_secret": "for tests only",
        },
        "providers": {"apollo": {"api_key": "k", "base_url": NOBODY}},
    }
    storage = Storage(convert(wanted), SystemClock(), settings, database, None)
    async with open_node(storage) as node:
        yield node


@asynccontextmanager
async def running_api(node: Node, **http: Any) -> AsyncIterator[Client]:
    """Serve a node on a free port."""
    settings = HttpSettings(port=0, **http)
    async with (
        listening(node, settings) as address,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Client(address, session)
