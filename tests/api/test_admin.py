from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import anyio
import pytest
from leadflood.app import Node
from leadflood.domain.sending.schemas import IntentState
from leadflood.engine.db.pool import Database

from tests.api.test_leads import a_lead
from tests.support.api import Client
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
STAGE = "/v1/admin/stages/suppressions.add"


@pytest.fixture
async def _nothing_is_sent(api: Client) -> AsyncIterator[None]:
    path = "/v1/admin/stages/message.send/pause"
    await api.ask("PUT", path, {})
    yield
    await api.ask("DELETE", path)


async def test_the_tree_shows_every_stage_with_its_actors(api: Client, node: Node) -> None:
    tree = (await api.get("/v1/admin/tree")).json

    below = {child["name"]: child for child in tree["children"]}
    for stage in node.engine.runners:
        shown = below[f"stage {stage}"]
        assert shown["stage"]["stage"] == stage
        assert {child["health"] for child in shown["children"]} <= {"running", "stopped"}
        assert f"{stage} committer" in {child["name"] for child in shown["children"]}
    assert "timer" in {child["name"] for child in below["maintenance"]["children"]}


async def test_a_stage_is_paused_for_all_nodes_with_who_and_why_and_goes_on(
    api: Client, node_database: Database
) -> None:
    paused = await api.ask("PUT", f"{STAGE}/pause", {"reason": "too many"})
    switches = (await api.get("/v1/admin/switches")).json
    resumed = await api.ask("DELETE", f"{STAGE}/pause")
    again = await api.ask("DELETE", f"{STAGE}/pause")

    assert paused.json["state"] == "paused"
    assert {
        "name": "stage:suppressions.add",
        "state": "paused",
        "byWhom": "operator",
        "reason": "too many",
    } in switches
    assert resumed.json["state"] == again.json["state"] == "running"
    left = await node_database.fetch(sql("SELECT name FROM switch WHERE name LIKE 'stage:%'"))
    assert not left


async def test_a_stage_is_scaled_and_back(api: Client) -> None:
    before = (await api.get("/v1/admin/stages")).json

    scaled = await api.ask("PUT", f"{STAGE}/concurrency", {"concurrency": 3})
    back = await api.ask("DELETE", f"{STAGE}/concurrency")

    assert (scaled.status, back.status) == (200, 200)
    names = [stage["stage"] for stage in before]
    assert names == [stage["stage"] for stage in (await api.get("/v1/admin/stages")).json]


async def test_a_stage_is_drained_until_nothing_of_it_is_in_hand(api: Client) -> None:
    drained = await api.ask("PUT", f"{STAGE}/drain", {"reason": "upgrade"})
    shown = (await api.get(f"{STAGE}/drain")).json
    await api.ask("DELETE", f"{STAGE}/drain")
    after = (await api.get(f"{STAGE}/drain")).json

    assert (drained.status, drained.json) == (200, shown)
    assert shown == {"stage": "suppressions.add", "state": "drained", "inHand": 0}
    assert after["state"] == "running"


async def test_a_drain_that_is_not_done_tells_how_far_it_is(
    api: Client, node_database: Database
) -> None:
    at_work = await node_database.fetch_value(
        sql(
            "INSERT INTO job (id, created_at, state, node_id, stage, payload) SELECT"
            " gen_random_uuid(), '2026-01-01Z', 1, max(id), 'suppressions.add', '{}' FROM node"
            " RETURNING id"
        )
    )

    draining = await api.ask("PUT", f"{STAGE}/drain", {"waitSeconds": 0.1})
    await node_database.execute(sql("DELETE FROM job WHERE id = $1", "id"), id=at_work)
    drained = await api.ask("PUT", f"{STAGE}/drain", {})
    await api.ask("DELETE", f"{STAGE}/drain")

    assert (draining.status, draining.json["state"], draining.json["inHand"]) == (
        202,
        "draining",
        1,
    )
    assert (drained.status, drained.json["inHand"]) == (200, 0)


async def test_each_change_of_an_operator_is_written_down_with_it(
    api: Client, node_database: Database
) -> None:
    before = await actions(node_database)

    await api.ask("PUT", f"{STAGE}/pause", {"reason": "a"})
    await api.ask("DELETE", f"{STAGE}/pause")
    await api.ask("DELETE", f"{STAGE}/pause")
    await api.ask("PUT", f"{STAGE}/concurrency", {"concurrency": 3})
    await api.ask("DELETE", f"{STAGE}/concurrency")
    await api.ask("PUT", "/v1/admin/sending/hold", {"reason": "b"})
    await api.ask("DELETE", "/v1/admin/sending/hold")

    assert (await actions(node_database))[len(before) :] == [
        "stage.paused", "stage.resumed", "stage.scaled", "stage.unscaled", "sending.held",
        "sending.released",
    ]  # fmt: skip


async def actions(database: Database) -> list[str]:
    rows = await database.fetch(sql("SELECT action FROM audit_event ORDER BY id"))
    return [row["action"] for row in rows]


@pytest.mark.parametrize("path", ["stages/nothing/pause", "providers/nobody/stop"])
async def test_an_unknown_name_is_told_with_those_that_exist(api: Client, path: str) -> None:
    refused = await api.ask("PUT", f"/v1/admin/{path}", {})

    assert refused.status == 404
    assert "message.send" in refused.problem["detail"] or "apollo" in refused.problem["detail"]


async def test_the_node_that_answers_is_among_the_nodes(api: Client) -> None:
    nodes = (await api.get("/v1/admin/nodes")).json

    assert [node["isThis"] for node in nodes] == [True]


async def test_dead_letters_are_listed_shown_replayed_and_forgotten(
    api: Client, node_database: Database, icp_id: str
) -> None:
    made = (await api.post("/v1/leads", a_lead(icp_id))).json
    await api.wait_for_job(made["jobId"])
    letters = [await a_dead_letter(node_database, UUID(made["leadId"]), icp_id) for _ in range(3)]

    page = (await api.get("/v1/admin/dead-letters?limit=2&errorCode=test.code")).json
    rest = await api.get(
        f"/v1/admin/dead-letters?errorCode=test.code&cursor={page['pagination']['nextCursor']}"
    )
    shown = await api.get(f"/v1/admin/dead-letters/{letters[0]}")
    body = {"ids": [str(letters[0]), str(uuid4())]}
    answer = (await api.post("/v1/admin/dead-letter-replays", body)).json
    replayed = answer["data"]
    forgotten = await api.ask("DELETE", f"/v1/admin/dead-letters/{letters[1]}")

    listed = [*page["data"], *rest.json["data"]]
    assert [one["id"] for one in listed] == [str(one) for one in sorted(letters, reverse=True)]
    assert shown.json["error"] == "it broke"
    assert [one["ending"] for one in replayed] == ["queued", "not_found"]
    assert answer["counts"] == {"queued": 1, "not_found": 1}
    assert (await api.wait_for_job(replayed[0]["jobId"]))["state"] == "completed"
    assert (forgotten.status, forgotten.body) == (204, b"")
    assert (await api.ask("DELETE", f"/v1/admin/dead-letters/{letters[1]}")).status == 404


async def test_dead_letters_of_a_filter_are_replayed_part_by_part_and_once(
    api: Client, node_database: Database, icp_id: str
) -> None:
    made = (await api.post("/v1/leads", a_lead(icp_id))).json
    lead_id = UUID(made["leadId"])
    letters = [await a_dead_letter(node_database, lead_id, icp_id, "test.many") for _ in range(3)]
    path = "/v1/admin/dead-letter-replays"
    body = {"filter": {"errorCode": "test.many"}, "limit": 2}
    key = {"Idempotency-Key": f"replay {made['leadId']}"}

    first = (await api.post(path, body, headers=key)).json
    again = (await api.post(path, body, headers=key)).json
    rest = (await api.post(path, {**body, "cursor": first["nextCursor"]})).json

    assert first == again
    replayed = [one["id"] for one in [*first["data"], *rest["data"]]]
    assert replayed == [str(one) for one in sorted(letters, reverse=True)]
    assert rest["nextCursor"] is None
    entry = (await api.get("/v1/audit?action=dead_letter.replayed&limit=1")).json["data"][0]
    assert entry["detail"]["filter"]["errorCode"] == "test.many"


async def test_dead_letters_of_a_filter_are_forgotten(
    api: Client, node_database: Database, icp_id: str
) -> None:
    made = (await api.post("/v1/leads", a_lead(icp_id))).json
    for _ in range(3):
        await a_dead_letter(node_database, UUID(made["leadId"]), icp_id, "test.gone")

    answer = await api.post(
        "/v1/admin/dead-letter-discards", {"filter": {"errorCode": "test.gone"}}
    )
    left = (await api.get("/v1/admin/dead-letters?errorCode=test.gone")).json["data"]
    neither = await api.post("/v1/admin/dead-letter-discards", {})

    assert answer.json == {"discarded": 3, "nextCursor": None}
    assert left == []
    assert neither.status == 422


async def test_a_send_that_may_have_arrived_is_not_replayed(
    api: Client, node_database: Database, world: World
) -> None:
    [event] = await world.approved()
    await node_database.execute(
        sql(
            "UPDATE intent SET state = 'unknown', claim = 1, job_id = id, sending_at = created_at"
            " WHERE id = $1",
            "id",
        ),
        id=event.intent_id,
    )
    letter = await node_database.fetch_value(
        sql(
            "INSERT INTO dead_letter (id, stage, turn, priority, attempts, losses, payload,"
            " error_code, error, chain, created_at, died_at) SELECT gen_random_uuid(),"
            " 'message.send', 0, 0, 1, 0, $1, 'test.sent', '', '', created_at, created_at"
            " FROM installation RETURNING id",
            "payload",
        ),
        payload=f'{{"intent_id":"{event.intent_id}"}}',
    )

    answer = (await api.post("/v1/admin/dead-letter-replays", {"ids": [str(letter)]})).json

    assert answer["counts"] == {"doubtful": 1}


async def test_a_waiting_job_is_buried_and_written_down(
    api: Client, node_database: Database
) -> None:
    job_id = await node_database.fetch_value(
        sql(
            "INSERT INTO job (id, created_at, run_at, state, stage, payload) VALUES"
            " (gen_random_uuid(), '2026-01-01Z', '2099-01-01Z', 2, 'no.such_stage', '{}')"
            " RETURNING id"
        )
    )

    buried = await api.post(f"/v1/admin/jobs/{job_id}/bury")
    again = await api.post(f"/v1/admin/jobs/{job_id}/bury")

    assert (buried.status, buried.json["errorCode"]) == (200, "engine.buried")
    assert again.status == 404
    entry = (await api.get(f"/v1/audit?subjectKind=job&subjectId={job_id}")).json["data"]
    assert [one["action"] for one in entry] == ["job.buried"]


async def a_dead_letter(
    database: Database, lead_id: UUID, icp_id: str, code: str = "test.code"
) -> UUID:
    payload = f'{{"type":"leads.lead.created","lead_id":"{lead_id}","icp_id":"{icp_id}"}}'
    made = await database.fetch_value(
        sql(
            "INSERT INTO dead_letter (id, run_id, stage, turn, priority, attempts, losses, payload,"
            " error_code, error, chain, created_at, died_at)"
            " SELECT gen_random_uuid(), id, 'enrichment.run', 0, 0, 1, 0, $1, $2,"
            " 'it broke', '', created_at, created_at FROM run LIMIT 1 RETURNING id",
            "payload",
            "code",
        ),
        payload=payload,
        code=code,
    )
    return UUID(int=made.int)


async def test_sending_is_held_and_released(api: Client) -> None:
    held = await api.ask("PUT", "/v1/admin/sending/hold", {"reason": "stop"})
    told = (await api.get("/v1/admin/sending")).json
    released = await api.ask("DELETE", "/v1/admin/sending/hold")

    assert held.json["held"] is True
    assert (told["held"], told["reason"], told["by"]) == (True, "stop", "operator")
    assert released.json["held"] is False


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


@pytest.mark.usefixtures("_nothing_is_sent")
async def test_an_unknown_sending_is_resolved_once(api: Client, world: World) -> None:
    [event] = await world.approved()
    await world.db.execute(
        sql(
            "UPDATE intent SET state = 'unknown', claim = 1, job_id = id, sending_at = created_at"
            " WHERE id = $1",
            "id",
        ),
        id=event.intent_id,
    )
    path = f"/v1/admin/sending/unknown/{event.intent_id}"

    listed = (await api.get("/v1/admin/sending/unknown?limit=200")).json["data"]
    resolved = await api.ask("PUT", path, {"sent": True})
    again = await api.ask("PUT", path, {"sent": False})

    assert str(event.intent_id) in {intent["id"] for intent in listed}
    assert resolved.json["state"] == IntentState.ACCEPTED
    assert again.status == 409
    with anyio.fail_after(1):
        assert await world.state(event) == "accepted"
