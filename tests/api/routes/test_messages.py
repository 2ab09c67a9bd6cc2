from collections.abc import AsyncIterator
from uuid import uuid4

import anyio
import pytest
from leadflood.app import Node
from leadflood.engine.db.pool import Database

from tests.support.api import Answer, Client
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


@pytest.fixture
async def _no_lines_stay(node_database: Database) -> AsyncIterator[None]:
    """Other tests of the folder count the lines of the list."""
    yield
    await node_database.execute(sql("DELETE FROM suppression WHERE source = 'api'"))


async def a_draft(api: Client, world: World) -> str:
    """Tell the path of a message that waits."""
    lead = await world.lead(email=f"{uuid4()}@acme.example", full_name=f"Ada {uuid4()}")
    run_id = await world.run("hold")
    await world.drafted([lead], run_id, await world.icp(autopilot=False))
    [message] = (await api.get(f"/v1/messages?runId={run_id}")).json["data"]
    return f"/v1/messages/{message['id']}"


async def test_messages_are_found_by_lead_run_channel_and_state(api: Client, world: World) -> None:
    shown = (await api.get(await a_draft(api, world))).json["message"]
    lead, run = f"leadId={shown['leadId']}", f"runId={shown['runId']}"

    for query in (lead, run, f"{lead}&channel=email&state=waiting"):
        assert (await api.get(f"/v1/messages?{query}")).json["data"] == [shown]
    for query in (f"{lead}&channel=sms", f"{run}&state=rejected", f"leadId={uuid4()}"):
        assert (await api.get(f"/v1/messages?{query}")).json["data"] == []


async def test_of_two_editors_of_a_draft_the_later_one_is_told(api: Client, world: World) -> None:
    path = await a_draft(api, world)
    tag = {"If-Match": (await api.get(path)).headers["ETag"]}

    first = await api.ask("PATCH", path, {"subject": "First"}, headers=tag)
    second = await api.ask("PATCH", path, {"subject": "Second"}, headers=tag)
    approved = await api.ask("PUT", f"{path}/approval", headers=tag)

    assert (first.status, first.json["version"]) == (200, 2)
    assert (second.status, second.problem["code"]) == (412, "message.version_conflict")
    assert approved.status == 412
    assert (await api.get(path)).json["message"]["subject"] == "First"


async def test_sending_at_once_approves_and_sends_once(
    node: Node, api: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await a_draft(api, world)
    monkeypatch.setattr(node.messaging.outbox, "_missing_senders", {})
    answers: list[Answer] = []

    async def send() -> None:
        key = {"Idempotency-Key": path}
        answers.append(await api.post(f"{path}/send", headers=key))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(send)

    assert {one.status for one in answers} == {200}
    assert len({one.body for one in answers}) == 1
    assert answers[0].json["state"] == "approved"
    intents = (await api.get(path)).json["message"]
    assert intents["intentId"] == answers[0].json["intentId"]


async def test_what_forbids_a_sending_is_said_at_once(
    api: Client, world: World, node_database: Database
) -> None:
    path = await a_draft(api, world)

    unfunded = await api.post(f"{path}/send")
    await api.ask("PUT", "/v1/admin/sending/hold", {"reason": "look first"})
    held = await api.post(f"{path}/send")
    await api.ask("DELETE", "/v1/admin/sending/hold")
    await api.ask("PUT", f"{path}/rejection", {"reason": "no"})
    rejected = await api.post(f"{path}/send")

    assert (unfunded.status, unfunded.problem["code"]) == (503, "provider.not_configured")
    assert (held.status, held.problem["code"]) == (409, "sending.held")
    assert (rejected.status, rejected.problem["code"]) == (409, "message.rejected")
    assert (await api.post(f"/v1/messages/{uuid4()}/send")).status == 404
    actions = await node_database.fetch(
        sql("SELECT action FROM audit_event WHERE subject_id = $1", "id"),
        id=path.rpartition("/")[2],
    )
    assert [row["action"] for row in actions] == ["message.rejected"]


@pytest.mark.usefixtures("_no_lines_stay")
async def test_an_address_is_suppressed_looked_up_and_let_go(api: Client, world: World) -> None:
    path = await a_draft(api, world)
    address = (await api.get(path)).json["message"]["toAddress"]
    body = {"kind": "address", "value": address, "reason": "asked by phone"}

    made = await api.post("/v1/suppressions", body)
    again = await api.post("/v1/suppressions", body)
    refused = await api.post(f"{path}/send")
    found = await api.get(f"/v1/suppressions?kind=address&value={address.upper()}")
    first = await api.get("/v1/suppressions?kind=address&limit=1")
    lifted = await api.ask("DELETE", f"/v1/suppressions/{made.json['id']}")

    assert (made.status, made.json["source"]) == (201, "api")
    assert again.json == made.json
    assert address not in made.body.decode()
    assert (refused.status, refused.problem["code"]) == (409, "message.suppressed")
    shown = {**found.json["data"][0], "leadCount": None, "dueSendCount": None}
    assert (found.json["data"], shown) == (first.json["data"], made.json)
    assert lifted.status == 200
    assert (await api.get(f"/v1/suppressions?kind=address&value={address}")).json["data"] == []
    assert (await api.ask("DELETE", f"/v1/suppressions/{made.json['id']}")).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "address", "value": "no address", "reason": "x"}, "value"),
        ({"kind": "address", "value": "a@b.example", "reason": "  "}, "reason"),
        ({"kind": "planet", "value": "a", "reason": "x"}, "kind"),
    ],
)
async def test_a_suppression_that_makes_no_sense_names_its_field(
    api: Client, body: dict[str, str], field: str
) -> None:
    refused = await api.post("/v1/suppressions", body)

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == field


async def test_a_look_up_without_its_kind_is_refused(api: Client) -> None:
    refused = await api.get("/v1/suppressions?value=a@b.example")

    assert (refused.status, refused.problem["fields"][0]["path"]) == (422, "kind")


@pytest.fixture
async def _nothing_is_sent(api: Client) -> AsyncIterator[None]:
    path = "/v1/admin/stages/message.send/pause"
    await api.ask("PUT", path, {})
    yield
    await api.ask("DELETE", path)


@pytest.mark.usefixtures("_nothing_is_sent")
async def test_drafts_are_listed_edited_approved_and_rejected(api: Client, world: World) -> None:
    run_id, icp_id = await world.run(), await world.icp(autopilot=False)
    lead_ids = [await world.lead(email=f"{uuid4().hex}@acme.example") for _ in range(2)]
    await world.drafted(lead_ids, run_id, icp_id)

    listed = (await api.get(f"/v1/messages?state=waiting&runId={run_id}")).json["data"]
    first, second = (f"/v1/messages/{message['id']}" for message in listed)
    edited = await api.ask("PATCH", first, {"subject": "Other words"})
    approved = await api.ask("PUT", f"{first}/approval")
    again = await api.ask("PUT", f"{first}/approval")
    rejected = await api.ask("PUT", f"{second}/rejection", {"reason": "no"})
    too_late = await api.ask("PUT", f"{first}/rejection", {})

    assert edited.json["subject"] == "Other words"
    assert approved.json["state"] == again.json["state"] == "approved"
    assert rejected.json["state"] == "rejected"
    assert too_late.status == 409
    detail = (await api.get(first)).json
    assert detail["message"]["intentState"] == "ready"
    assert detail["message"]["decidedBy"] == "operator"
