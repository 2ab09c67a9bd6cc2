from uuid import UUID, uuid4

import pytest
from leadflood.engine.db.pool import Database

from tests.api.routes.test_leads import a_lead, scored
from tests.support.api import Client
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


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
    [event] = await world.approved(email=f"{uuid4().hex}@acme.example")
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


async def test_a_waiting_job_is_buried_its_lead_failed_and_both_written_down(
    api: Client, node_database: Database, icp_id: str
) -> None:
    lead_id = (await api.post("/v1/leads", a_lead(icp_id))).json["leadId"]
    await scored(api, lead_id)  # no job of its own changes it any more
    job_id = await node_database.fetch_value(
        sql(
            "INSERT INTO job (id, created_at, run_at, state, stage, payload) VALUES"
            " (gen_random_uuid(), '2026-01-01Z', '2099-01-01Z', 2, 'no.such_stage', $1)"
            " RETURNING id",
            "payload",
        ),
        payload=f'{{"lead_id":"{lead_id}"}}',
    )

    buried = await api.post(f"/v1/admin/jobs/{job_id}/bury")
    again = await api.post(f"/v1/admin/jobs/{job_id}/bury")

    assert (buried.status, buried.json["errorCode"]) == (200, "engine.buried")
    assert again.status == 404
    lead = (await api.get(f"/v1/leads/{lead_id}")).json
    assert (lead["status"], lead["failedCode"]) == ("failed", "engine.buried")
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
            " 'it broke', '', created_at, created_at FROM run"
            " WHERE providers = '{}' AND cancelled_at IS NULL LIMIT 1 RETURNING id",
            "payload",
            "code",
        ),
        payload=payload,
        code=code,
    )
    return UUID(int=made.int)
