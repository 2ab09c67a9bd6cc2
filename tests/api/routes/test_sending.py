from collections.abc import AsyncIterator
from uuid import uuid4

import anyio
import pytest
from leadflood.domain.sending.schemas import IntentState, MessageApproved

from tests.support.api import Client
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


@pytest.fixture
async def _nothing_is_sent(api: Client) -> AsyncIterator[None]:
    path = "/v1/admin/stages/message.send/pause"
    await api.ask("PUT", path, {})
    yield
    await api.ask("DELETE", path)


async def test_sending_is_held_and_released(api: Client) -> None:
    held = await api.ask("PUT", "/v1/admin/sending/hold", {"reason": "stop"})
    told = (await api.get("/v1/admin/sending")).json
    released = await api.ask("DELETE", "/v1/admin/sending/hold")

    assert held.json["held"] is True
    assert (told["held"], told["reason"], told["by"]) == (True, "stop", "operator")
    assert released.json["held"] is False


async def lost(world: World, count: int = 1) -> list[MessageApproved]:
    """Approve messages to new addresses, and lose their sends."""
    events = []
    for _ in range(count):
        [event] = await world.approved(email=f"{uuid4().hex}@acme.example")
        await world.db.execute(
            sql(
                "UPDATE intent SET state = 'unknown', claim = 1, job_id = id,"
                " sending_at = created_at WHERE id = $1",
                "id",
            ),
            id=event.intent_id,
        )
        events.append(event)
    return events


@pytest.mark.usefixtures("_nothing_is_sent")
async def test_an_unknown_sending_is_resolved_once(api: Client, world: World) -> None:
    [event] = await lost(world)
    path = f"/v1/admin/sending/unknown/{event.intent_id}"

    listed = (await api.get("/v1/admin/sending/unknown?limit=200")).json["data"]
    resolved = await api.ask("PUT", path, {"sent": True})
    again = await api.ask("PUT", path, {"sent": False})

    assert str(event.intent_id) in {intent["id"] for intent in listed}
    assert resolved.json["state"] == IntentState.ACCEPTED
    assert again.status == 409
    with anyio.fail_after(1):
        assert await world.state(event) == "accepted"


@pytest.mark.usefixtures("_nothing_is_sent")
async def test_many_unknown_sendings_are_resolved_by_ids_or_by_a_filter(
    api: Client, world: World
) -> None:
    path = "/v1/admin/sending/unknown-resolutions"
    await api.post(path, {"sent": True, "filter": {}})  # those of other tests
    events = await lost(world, 3)
    ids = [str(event.intent_id) for event in events]

    status = (await api.get("/v1/admin/sending")).json
    named = await api.post(path, {"sent": True, "ids": ids[:1]})
    none = await api.post(path, {"sent": True, "filter": {"channel": "whatsapp"}})
    part = await api.post(path, {"sent": True, "filter": {"channel": "email"}, "limit": 1})
    rest = await api.post(path, {"sent": True, "filter": {}})
    neither = await api.post(path, {"sent": True})

    [summary] = status["unknown"]
    assert (summary["channel"], summary["count"]) == ("email", 3)
    assert "Message-ID" in summary["lookAt"]
    assert named.json == {
        "data": [{"intentId": ids[0], "state": "accepted", "isResolved": True}],
        "resolved": 1,
        "hasMore": False,
    }
    assert (none.json["resolved"], part.json["resolved"], rest.json["resolved"]) == (0, 1, 1)
    assert part.json["hasMore"]
    assert neither.status == 422
    assert [await world.state(event) for event in events] == ["accepted"] * 3
