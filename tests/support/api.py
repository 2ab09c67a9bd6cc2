"""A real node with its API on a free port, and a client for it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import anyio
import msgspec
from leadflood.api.application import listening
from leadflood.api.http.rate_limit import RateClass, Settings as Rates
from leadflood.api.http.settings import Settings as HttpSettings
from leadflood.app import Node, open_node
from leadflood.domain.auth.schemas.roles import Role
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database, Settings as DatabaseSettings, open_database
from leadflood.settings import convert
from leadflood.wiring.storage import Storage

from tests.support.db import TestServer, cloned_database

JSON = {"Content-Type": "application/json"}
OPERATOR_TOKEN = "the operator of these tests"  # noqa: S105 - opens nothing but a test's own server
PASSWORD = "a password of nobody else"  # noqa: S105 - same
AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
CHEAP = {"secret": "s" * 40, "argon2_memory_kib": 64, "argon2_passes": 1}
"""Hashing that costs nothing: what is tested is not how long a guess takes."""
UNBOUND: Mapping[str, Any] = {
    "port": 0,
    "token": OPERATOR_TOKEN,
    "rates": Rates(auth=RateClass()),
    "connections_per_address": 1_000,
    "streams_per_user": 1_000,
}
"""All of a test's clients ask from one address, some of them much at once."""
NOBODY = "http://127.0.0.1:9"
"""No server listens here: a provider that is configured and down."""


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
        problem = self.json
        assert problem["status"] == self.status
        assert problem["requestId"] == self.headers["X-Request-ID"]
        return problem


class Client:
    """Calls one API: as the operator, as the owner of a credential, or anonymously."""

    def __init__(self, address: str, session: aiohttp.ClientSession, credential: str = "") -> None:
        self.address = address
        self.session = session
        self.credential = credential
        self.user_id = ""
        self.refresh_token = ""

    @property
    def auth(self) -> dict[str, str]:
        """The header with the credential."""
        return {"Authorization": f"Bearer {self.credential}"} if self.credential else {}

    def holding(self, credential: str) -> "Client":
        """The same API with another credential; empty: with none."""
        return Client(self.address, self.session, credential)

    async def client_of(self, role: Role | str, *, email: str = "") -> "Client":
        """Invite a new user of that role, register and log in; needs an ADMIN or the operator.

        The returned client has `credential` (the access token), `refresh_token` and `user_id`.
        """
        email = email or f"{Role(role).lower()}-{uuid4().hex[:12]}@team.example"
        invitation = await self.post("/v1/users", {"email": email, "role": Role(role)})
        assert invitation.status == 201, invitation.body
        credentials = {"token": invitation.json["token"], "password": PASSWORD}
        registration = await self.post("/v1/auth/register", credentials)
        assert registration.status == 201, registration.body
        return await self.log_in(email)

    async def key_of(self, *scopes: str) -> "Client":
        """Create a key of this user with these scopes; return a client that holds it."""
        answer = await self.post("/v1/api-keys", {"name": "k", "scopes": sorted(scopes)})
        assert answer.status == 201, answer.body
        client = self.holding(answer.json["secret"])
        client.user_id = self.user_id
        return client

    async def log_in(self, email: str, password: str = PASSWORD, **more: Any) -> "Client":
        """Log in; return a client of this user."""
        credentials = {"email": email, "password": password, **more}
        answer = await self.post("/v1/auth/login", credentials)
        assert answer.status == 200, answer.body
        client = self.holding(answer.json["accessToken"])
        client.user_id = answer.json["user"]["id"]
        client.refresh_token = answer.json["refreshToken"]
        return client

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
        all_headers = {**self.auth, **(JSON if data is not None else {}), **(headers or {})}
        async with self.session.request(
            method, self.address + path, data=data, headers=all_headers
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.ask("POST", path, body, **more)

    async def wait_for_job(self, job_id: str) -> Any:
        """Poll a job until it is settled; return it."""
        with anyio.fail_after(10):
            while (job := (await self.get(f"/v1/jobs/{job_id}")).json)["finishedAt"] is None:
                await anyio.lowlevel.checkpoint()
        return job


class Installation(msgspec.Struct, frozen=True):
    """A node with its API and the URL of its database."""

    node: Node
    api: Client
    url: str


@asynccontextmanager
async def running_node(
    database: Database, settings: DatabaseSettings, folder: Path, **more: Mapping[str, Any]
) -> AsyncIterator[Node]:
    """Run a node on a test's database; Apollo is configured and down. `more` replaces settings."""
    tree = {
        "mode": "sandbox",
        "data": str(folder),
        "http": {"public_url": "https://leads.example"},
        "messaging": {
            "sender_name": "Ann",
            "sender_address": "ann@ours.example",
            "postal_address": "1 Street",
        },
        "providers": {"apollo": {"api_key": "k", "base_url": NOBODY}},
        "accounts": CHEAP,
        "duplicates": {"look_seconds": 0.2},
        **more,
    }
    storage = Storage(convert(tree), SystemClock(), settings, database, None)
    async with open_node(storage) as node:
        yield node


@asynccontextmanager
async def running_installation(
    server: TestServer, folder: Path, **http: Any
) -> AsyncIterator[tuple[Node, Client]]:
    """Run and serve a node on a database of its own."""
    async with (
        cloned_database(server) as settings,
        open_database(settings) as database,
        running_node(database, settings, folder) as node,
        running_api(node, **http) as client,
    ):
        yield node, client


@asynccontextmanager
async def running_api(node: Node, **http: Any) -> AsyncIterator[Client]:
    """Serve a node on a free port; the client is the operator, logins are not rate-limited."""
    settings = HttpSettings(**{**UNBOUND, **http})
    async with (
        listening(node, settings) as address,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Client(address, session, settings.token)
