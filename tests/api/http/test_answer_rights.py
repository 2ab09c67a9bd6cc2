"""What is left out of answers for a key that may do a thing and not look at it."""

from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest

from tests.support.api import Client
from tests.support.messaging import World

pytestmark = pytest.mark.pg
RULES_TOLD = {"contributions", "trace", "explanation", "needs"}


@pytest.fixture(scope="module")
async def manager(api: Client) -> Client:
    return await api.client_of("MANAGER")


def a_person(icp_id: UUID) -> dict[str, Any]:
    email = f"ada@{uuid4().hex}.example"
    return {"email": email, "fullName": "Ada Berg", "icpId": str(icp_id)}


async def test_a_key_that_reads_leads_reads_no_messages_and_no_rules_through_them(
    manager: Client, api: Client, world: World
) -> None:
    [message] = await world.approved(1, email=f"{uuid4().hex}@acme.example")
    path = f"/v1/leads/{message.lead_id}"
    reader = await manager.key_of("leads:read")
    reader_of_all = await manager.key_of("leads:read", "messages:read", "icps:read")

    shown, whole = (await reader.get(path)).json, (await reader_of_all.get(path)).json

    assert whole == (await api.get(path)).json
    assert whole["messages"]
    assert shown == {name: value for name, value in whole.items() if name != "messages"}


async def test_the_rules_of_an_icp_are_not_told_by_a_score(manager: Client, icp_id: UUID) -> None:
    started = (await manager.post("/v1/leads", a_person(icp_id))).json
    path = f"/v1/leads/{started['leadId']}"
    await manager.post(f"{path}/score", {"icpId": str(icp_id)})
    with anyio.fail_after(20):
        while (await manager.get(path)).json["score"] is None:
            await anyio.lowlevel.checkpoint()
    reader = await manager.key_of("leads:read", "messages:read")

    shown, whole = (await reader.get(path)).json, (await manager.get(path)).json

    assert whole["score"].keys() >= RULES_TOLD
    assert whole["score"].keys() - shown["score"].keys() == RULES_TOLD


async def test_a_key_that_only_writes_leads_is_shown_no_lead(manager: Client, icp_id: UUID) -> None:
    key = await manager.key_of("leads:write")
    lead_id = (await manager.post("/v1/leads", a_person(icp_id))).json["leadId"]
    path = f"/v1/leads/{lead_id}"

    changed = await key.ask("PATCH", path, {"title": "CEO"})
    nothing = await key.ask("PATCH", path, {})
    tagged = await key.ask("PUT", f"{path}/tags/vip")
    stored = (await manager.get(path)).json

    assert changed.json == {"id": lead_id, "version": changed.json["version"]}
    assert nothing.json.keys() == {"id", "version"}
    assert tagged.json.keys() == {"id", "version", "deletedAt"}
    assert stored["values"]["title"] == "CEO"


async def test_a_key_that_only_writes_icps_reads_no_rules(manager: Client) -> None:
    key = await manager.key_of("icps:write")
    body = {"name": "n", "offer": "o", "target": {"titles": ["COO"]}}
    rule = {"kind": "WEIGHTED", "field": "title", "operator": "EXISTS", "value": True, "weight": 1}

    icp = (await key.post("/v1/icps", body)).json
    added = await key.post(f"/v1/icps/{icp['profileId']}/rules", rule)

    assert icp.keys() == {"id", "profileId", "version"}
    assert (added.status, added.json.keys()) == (201, {"id", "profileId", "version"})
