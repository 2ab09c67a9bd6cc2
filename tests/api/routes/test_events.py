from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import aiohttp
import anyio
import msgspec
import pytest
from aiohttp import WSMsgType, WSServerHandshakeError
from leadflood.api.application import listening
from leadflood.api.http.settings import Settings
from leadflood.app import Node
from leadflood.engine.obs.event_feed import Cursor

from tests.api.routes.test_leads import a_lead, scored
from tests.support.api import OPERATOR_TOKEN, Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg


@pytest.fixture
async def session(api: Client) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=api.auth) as opened:
        yield opened


@pytest.fixture
async def pruned(node: Node) -> AsyncIterator[None]:
    """Events of the era 0, before any that are there, are pruned."""
    prune = sql("UPDATE installation SET pruned_xid = $1::text::xid8", "xid")
    await node.storage.db.execute(prune, xid="2")
    yield
    await node.storage.db.execute(prune, xid="0")


async def read(socket: aiohttp.ClientWebSocketResponse) -> Any:
    with anyio.fail_after(10):
        message = await socket.receive()
    assert message.type is WSMsgType.TEXT, message
    return msgspec.json.decode(message.data)


async def test_the_events_of_a_lead_arrive_as_they_happen(
    api: Client, icp_id: str, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(f"{api.address}/v1/events?types=leads.*,scoring.*") as socket:
        await anyio.wait_all_tasks_blocked()
        made = (await api.post("/v1/leads", a_lead(icp_id))).json

        heard = [await read(socket), await read(socket)]

    assert [one["type"] for one in heard] == ["leads.lead.created", "scoring.lead.scored"]
    assert [one["alias"] for one in heard] == ["lead:created", "lead:updated"]
    assert {one["subject"] for one in heard} == {made["leadId"]}
    assert {one["runId"] for one in heard} == {made["runId"]}


async def test_a_disconnected_listener_resumes_from_its_cursor(
    api: Client, icp_id: str, session: aiohttp.ClientSession
) -> None:
    made = (await api.post("/v1/leads", a_lead(icp_id))).json
    await scored(api, made["leadId"])
    path = f"{api.address}/v1/events?subject={made['leadId']}"
    begin = Cursor(0, 0, UUID(int=0)).write()

    async with session.ws_connect(f"{path}&cursor={begin}") as socket:
        first = await read(socket)
    async with session.ws_connect(f"{path}&cursor={first['cursor']}") as socket:
        second = await read(socket)

    page = (await api.get(f"/v1/events?subject={made['leadId']}&limit=200&cursor={begin}")).json
    ids = [event["id"] for event in page["data"]]
    if ids:  # the page may end before this lead's events
        assert ids[:2] == [first["id"], second["id"]]
    assert first["type"] == "leads.lead.created"
    assert second["id"] != first["id"]


async def test_a_page_of_events_goes_on_to_the_end(api: Client) -> None:
    seen: list[str] = []
    cursor = ""

    while True:
        page = (await api.get(f"/v1/events?limit=50&cursor={cursor}")).json
        if not page["data"]:
            break
        seen += [event["id"] for event in page["data"]]
        cursor = page["pagination"]["nextCursor"]

    assert len(seen) == len(set(seen))
    assert (await api.get(f"/v1/events?cursor={cursor}")).json["data"] == []


async def test_a_cursor_behind_which_events_are_pruned_is_gone_and_a_foreign_one_refused(
    api: Client, session: aiohttp.ClientSession, pruned: None
) -> None:
    del pruned
    old = Cursor(0, 1, UUID(int=1)).write()

    gone = await api.get(f"/v1/events?cursor={old}")
    foreign = await api.get("/v1/events?cursor=xyz")

    assert (gone.status, gone.problem["code"]) == (410, "events.cursor.too_old")
    assert foreign.status == 422
    with pytest.raises(WSServerHandshakeError) as refused:
        await session.ws_connect(f"{api.address}/v1/events?cursor={old}")
    assert refused.value.status == 410


@pytest.mark.parametrize("origin", ["https://evil.example", "http://[x", "null", ""])
async def test_pages_of_other_sites_may_not_listen(
    api: Client, session: aiohttp.ClientSession, origin: str
) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await session.ws_connect(f"{api.address}/v1/events", origin=origin)

    assert refused.value.status == 403


async def test_stopping_ends_the_streams_at_once(
    node: Node, session: aiohttp.ClientSession
) -> None:
    codes: list[int | None] = []

    async def wait(socket: aiohttp.ClientWebSocketResponse) -> None:
        async for _event in socket:
            pass
        codes.append(socket.close_code)

    with anyio.fail_after(5):
        async with (
            anyio.create_task_group() as group,
            listening(node, Settings(port=0, token=OPERATOR_TOKEN)) as address,
        ):
            group.start_soon(wait, await session.ws_connect(f"{address}/v1/events"))
            await anyio.wait_all_tasks_blocked()

    assert codes == [1001]
