import random
import socket as plain
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import aiohttp
import anyio
import anyio.abc
import msgspec
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from leadflood.api.http import websocket, websocket_subscription
from leadflood.app import Node
from leadflood.engine.db.pool import Database
from leadflood.engine.obs import event_feed
from leadflood.engine.obs.event_feed import Cursor

from tests.api.routes.test_leads import a_lead
from tests.support.api import Client, running_api
from tests.support.statements import sql

pytestmark = pytest.mark.pg
CUTS = 100


@asynccontextmanager
async def listening_as(
    client: Client, query: str = "", **more: Any
) -> AsyncIterator[ClientWebSocketResponse]:
    """Listen, from the moment on when the server has said that we do."""
    async with client.session.ws_connect(
        f"{client.address}/v1/events{query}", headers=client.auth, **more
    ) as socket:
        yield socket


async def read(socket: ClientWebSocketResponse, *types: str) -> Any:
    """Read the next event, of these types where some are named."""
    with anyio.fail_after(10):
        while True:
            message = await socket.receive()
            assert message.type is WSMsgType.TEXT, message
            told = msgspec.json.decode(message.data)
            if not types or told["type"] in types:
                return told


async def read_own(socket: ClientWebSocketResponse, name: str) -> Any:
    """Read the next event that is one user's alone; what everybody is told goes by."""
    while (told := await read(socket, name))["payload"].get("userId") is None:
        pass
    return told


async def until_closed(socket: ClientWebSocketResponse) -> int | None:
    with anyio.fail_after(10):
        while (await socket.receive()).type is WSMsgType.TEXT:
            pass
    return socket.close_code


async def new_lead(client: Client, icp_id: str) -> str:
    made = await client.post("/v1/leads", a_lead(icp_id))
    assert made.status == 201, made.body
    await client.wait_for_job(made.json["jobId"])
    return str(made.json["leadId"])


@pytest.fixture
def _polls_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(websocket, "POLL_SECONDS", 0.05)


async def test_a_stream_sends_no_event_without_the_permission(
    api: Client, node_database: Database, icp_id: str
) -> None:
    viewer = await api.client_of("VIEWER")

    async with listening_as(viewer) as socket:
        for name in ("system.thing.happened", "accounts.user.invited", "unheard.of.thing"):
            await happen(node_database, name)
        lead_id = await new_lead(api, icp_id)
        heard = await read(socket)
    page = (await viewer.get(f"/v1/events?cursor={heard['cursor']}&limit=200")).json["data"]

    assert (heard["type"], heard["subject"]) == ("leads.lead.created", lead_id)
    assert not [one for one in page if one["type"].startswith(("system.", "accounts."))]


async def happen(database: Database, name: str, payload: str = '{"type":"x"}') -> UUID:
    made = uuid4()
    await database.execute(
        sql(
            "INSERT INTO event (era, id, at, type, payload) SELECT era, $1, created_at, $2, $3"
            " FROM installation",
            "id",
            "name",
            "payload",
        ),
        id=made,
        name=name,
        payload=payload,
    )
    return made


async def test_a_limited_listener_gets_events_of_their_own_leads_only(
    api: Client, icp_id: str
) -> None:
    rep = await api.client_of("SALES_REP")
    await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"})
    try:
        async with listening_as(rep, "?types=lead:created") as socket:
            foreign = await new_lead(api, icp_id)
            own = await new_lead(rep, icp_id)
            heard = await read(socket)
        shown = [
            event["subject"]
            for event in (await rep.get("/v1/events?limit=200&types=leads.*")).json["data"]
        ]
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})

    assert (heard["subject"], heard["alias"]) == (own, "lead:created")
    assert foreign not in shown


async def test_a_personal_notification_is_sent_to_its_user_alone(
    api: Client, node_database: Database
) -> None:
    one, other = await api.client_of("VIEWER"), await api.client_of("ADMIN")
    name = "notifications.notification.created"

    async with listening_as(one) as mine, listening_as(other) as theirs:
        payload = '{"type":"%s","user_id":"%s"}'
        await happen(node_database, name, payload % (name, one.user_id))
        await happen(node_database, name, payload % (name, other.user_id))
        heard = [await read_own(mine, name), await read_own(theirs, name)]

    assert [event["payload"]["userId"] for event in heard] == [one.user_id, other.user_id]
    assert {event["alias"] for event in heard} == {"notification"}


@pytest.mark.usefixtures("_polls_often")
async def test_a_stream_ends_when_its_session_is_revoked_and_names_its_cursor(
    api: Client, icp_id: str
) -> None:
    viewer = await api.client_of("VIEWER")

    async with listening_as(viewer) as socket:
        await new_lead(api, icp_id)
        await read(socket)
        left = await viewer.post("/v1/auth/logout", {"refreshToken": viewer.refresh_token})
        code = await until_closed(socket)

    assert left.status < 300, left.body
    assert code == websocket.NO_LONGER_ALLOWED


async def test_a_right_taken_away_on_this_node_ends_the_stream_long_before_it_is_checked_again(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(websocket, "CHECK_SECONDS", 3_600.0)
    viewer = await api.client_of("VIEWER")

    async with listening_as(viewer) as socket:
        await viewer.post("/v1/auth/logout", {"refreshToken": viewer.refresh_token})

        assert await until_closed(socket) == websocket.NO_LONGER_ALLOWED


async def test_a_user_has_no_more_streams_than_allowed_by_whichever_credential(
    node: Node,
) -> None:
    async with running_api(node, streams_per_user=2) as api:
        viewer, other = await api.client_of("VIEWER"), await api.client_of("VIEWER")
        ticket = (await viewer.post("/v1/events/tickets")).json["ticket"]
        async with listening_as(viewer), listening_as(other):
            async with listening_as(api.holding(""), f"?ticket={ticket}"):
                with pytest.raises(WSServerHandshakeError) as refused:
                    await viewer.session.ws_connect(f"{api.address}/v1/events", headers=viewer.auth)
            is_open = False
            with anyio.fail_after(10):
                while not is_open:  # until the server, too, has closed the one that was left
                    with suppress(WSServerHandshakeError):
                        async with listening_as(viewer):
                            is_open = True

    assert refused.value.status == 429


async def test_all_have_no_more_streams_than_allowed_in_all(node: Node) -> None:
    async with running_api(node, streams=1) as api:
        viewer, other = await api.client_of("VIEWER"), await api.client_of("VIEWER")
        async with listening_as(viewer):
            with pytest.raises(WSServerHandshakeError) as refused:
                await other.session.ws_connect(f"{api.address}/v1/events", headers=other.auth)

    assert refused.value.status == 429


@pytest.mark.usefixtures("_polls_often")
async def test_a_stream_ends_when_its_listener_may_no_longer_read_events(
    api: Client, node_database: Database
) -> None:
    viewer = await api.client_of("VIEWER")
    body = {"name": "k", "scopes": ["events:read", "leads:read"]}
    created = (await viewer.post("/v1/api-keys", body)).json
    key = viewer.holding(created["secret"])

    async with listening_as(key) as socket:
        await node_database.execute(
            sql("UPDATE api_key SET scopes = ARRAY['leads:read'] WHERE id = $1", "id"),
            id=UUID(created["key"]["id"]),
        )
        code = await until_closed(socket)

    assert code == websocket.NO_LONGER_ALLOWED
    assert (await key.get("/v1/leads")).status == 200


@pytest.mark.usefixtures("_polls_often")
async def test_a_ticket_opens_one_stream_for_a_page_that_can_send_no_header(
    api: Client, node_database: Database, icp_id: str
) -> None:
    viewer = await api.client_of("VIEWER")
    made = await viewer.post("/v1/events/tickets")
    nobody = api.holding("")
    path = f"?ticket={made.json['ticket']}"

    async with listening_as(nobody, path) as socket:
        await new_lead(api, icp_id)
        heard = await read(socket, "leads.lead.created")
        with pytest.raises(WSServerHandshakeError) as again:
            await nobody.session.ws_connect(f"{api.address}/v1/events{path}")
        await viewer.post("/v1/auth/logout", {"refreshToken": viewer.refresh_token})
        code = await until_closed(socket)
    with pytest.raises(WSServerHandshakeError) as made_up:
        await nobody.session.ws_connect(f"{api.address}/v1/events?ticket=made-up")
    kept = await node_database.fetch(sql("SELECT principal FROM stream_ticket"))

    assert made.status == 201
    assert heard["alias"] == "lead:created"
    assert (again.value.status, made_up.value.status) == (401, 401)
    assert code == websocket.NO_LONGER_ALLOWED
    assert not [row for row in kept if made.json["ticket"] in row["principal"]]


async def test_an_expired_ticket_opens_nothing(api: Client, node_database: Database) -> None:
    made = (await api.post("/v1/events/tickets")).json
    await node_database.execute(
        sql("UPDATE stream_ticket SET expires_at = expires_at - interval '2 minutes'")
    )

    with pytest.raises(WSServerHandshakeError) as refused:
        await api.session.ws_connect(f"{api.address}/v1/events?ticket={made['ticket']}")

    assert refused.value.status == 401


@pytest.mark.usefixtures("_polls_often")
async def test_a_listener_of_a_run_gets_its_progress(api: Client, icp_id: str) -> None:
    made = (await api.post("/v1/leads", a_lead(icp_id))).json

    async with listening_as(api, f"?runId={made['runId']}") as socket:
        while True:
            told = await read(socket, "run.progress")
            if told["payload"]["state"] == "completed":
                break

    assert told["runId"] == made["runId"]
    assert told["payload"]["progress"]["scored"] == 1


@pytest.mark.usefixtures("_polls_often")
async def test_a_listener_without_events_gets_the_position_of_the_stream(
    api: Client, icp_id: str
) -> None:
    async with listening_as(api, "?types=nothing.such") as socket:
        await new_lead(api, icp_id)
        told = await read(socket)

    assert told["type"] == "stream.position"
    assert (await api.get(f"/v1/events?cursor={told['cursor']}")).status == 200


async def test_a_listener_that_does_not_read_is_disconnected(
    api: Client, node_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_subscription, "MAX_UNREAD_BYTES", 10_000)
    monkeypatch.setattr(websocket_subscription, "SEND_SECONDS", 0.2)
    where = urlsplit(api.address)
    begun = (
        f"GET /v1/events HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nAuthorization: {api.auth['Authorization']}"
        "\r\n\r\n"
    )
    with plain.socket() as idle:
        idle.setsockopt(plain.SOL_SOCKET, plain.SO_RCVBUF, 4_096)
        idle.setblocking(False)  # noqa: FBT003 - the method's own shape
        with suppress(BlockingIOError):
            idle.connect((where.hostname, where.port))
        await anyio.wait_writable(idle)
        idle.send(begun.encode())
        await anyio.wait_readable(idle)

        for _ in range(8):
            await happen(node_database, "system.flood.came", '{"x":"%s"}' % ("x" * 1_000_000))
        with anyio.fail_after(10):
            while await is_listened_to(api, 1):
                await anyio.lowlevel.checkpoint()
    await node_database.execute(sql("DELETE FROM event WHERE type = 'system.flood.came'"))


async def is_listened_to(api: Client, count: int) -> bool:
    body = (await api.get("/metrics")).body.decode()
    return f"leadflood_http_streams {count}.0" in body


async def test_a_hundred_cuts_anywhere_leave_a_client_with_what_the_database_holds(
    api: Client, node_database: Database, icp_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "LOOK_SECONDS", 0.01)
    dice = random.Random(7)  # noqa: S311 - where to cut, not a secret
    leads = [await new_lead(api, icp_id) for _ in range(5)]
    client = Replica(set(leads))
    path = "/v1/events?types=leads.lead.*"
    has_enough = False

    async def change() -> None:
        while not has_enough:
            verb = dice.choice(("PUT", "PUT", "DELETE"))
            await api.ask(verb, f"/v1/leads/{dice.choice(leads)}/tags/t{dice.randrange(4)}")
        for lead_id in leads:
            await api.ask("PUT", f"/v1/leads/{lead_id}/tags/last")

    with anyio.fail_after(60):
        async with cutting(api.address, dice) as cut_off, anyio.create_task_group() as group:
            group.start_soon(change)
            while client.cuts < CUTS:
                try:
                    await client.listen(api, f"{cut_off}{path}")
                except (aiohttp.ClientError, ConnectionError):  # cut before the stream began
                    client.cuts += 1
            has_enough = True
        rows = await node_database.fetch(
            sql("SELECT id::text AS id, version FROM lead WHERE id = ANY ($1::uuid[])", "ids"),
            ids=leads,
        )
        wanted = {row["id"]: row["version"] for row in rows}
        while client.versions != wanted:
            await client.listen(api, f"{api.address}{path}", until=wanted)

    told = await node_database.fetch(
        sql(
            "SELECT id::text AS id FROM event WHERE type LIKE 'leads.lead.%'"
            " AND subject = ANY ($1::uuid[]) ORDER BY era, xid, id",
            "ids",
        ),
        ids=leads,
    )
    assert client.seen == [row["id"] for row in told]


class Replica:
    """A client's state: what it was told of some leads, in order."""

    def __init__(self, leads: set[str]) -> None:
        self._leads = leads
        self.cursor = Cursor(0, 0, UUID(int=0)).write()
        self.seen: list[str] = []
        self.versions: dict[str, int] = {}
        self.cuts = 0

    async def listen(self, api: Client, url: str, until: dict[str, int] | None = None) -> None:
        async with api.session.ws_connect(
            f"{url}&cursor={self.cursor}", headers=api.auth
        ) as socket:
            while until is None or self.versions != until:
                message = await socket.receive()
                if message.type is not WSMsgType.TEXT:
                    self.cuts += 1
                    return
                self._take(msgspec.json.decode(message.data))

    def _take(self, event: Any) -> None:
        if event["cursor"] is not None:
            self.cursor = event["cursor"]
        if event.get("subject") in self._leads:
            self.seen.append(event["id"])
            if event["version"] is not None:
                self.versions[event["subject"]] = event["version"]


@asynccontextmanager
async def cutting(address: str, dice: random.Random) -> AsyncIterator[str]:
    """Stand before the API and cut each connection after some bytes, also within a frame."""
    where = urlsplit(address)

    async def carry(client: anyio.abc.SocketStream) -> None:
        left = dice.randrange(300, 2_500)
        async with (
            client,
            await anyio.connect_tcp(where.hostname or "", where.port or 0) as server,
            anyio.create_task_group() as group,
        ):
            group.start_soon(carry_questions, client, server)
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while left > 0:
                    chunk = await server.receive()
                    await client.send(chunk[:left])
                    left -= len(chunk)
            group.cancel_scope.cancel()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - of a socket
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, carry)
            yield f"http://127.0.0.1:{port}"
            group.cancel_scope.cancel()


async def carry_questions(client: anyio.abc.SocketStream, server: anyio.abc.SocketStream) -> None:
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for chunk in client:
            await server.send(chunk)
