from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from leadflood.app import Node
from leadflood.engine.db.pool import Database
from leadflood.engine.queue import runs

from tests.support.api import Answer, Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg
NOBODY = UUID(int=1)


def a_lead(icp_id: str, **over: Any) -> dict[str, Any]:
    email = f"{uuid4().hex}@acme{uuid4().hex[:8]}.example"
    lead = {"email": email, "fullName": "Ann Lee", "title": "COO", "icpId": icp_id}
    return {**lead, "providers": [], **over}


async def scored(api: Client, lead_id: str) -> Any:
    with anyio.fail_after(10):
        while (lead := (await api.get(f"/v1/leads/{lead_id}")).json)["score"] is None:
            await anyio.lowlevel.checkpoint()
    return lead


async def test_a_lead_brought_in_is_scored_and_shown_with_its_evidence(
    api: Client, icp_id: str
) -> None:
    given = a_lead(icp_id)

    made = await api.post("/v1/leads", given)

    assert made.status == 201
    assert set(made.json) == {"leadId", "jobId", "runId"}
    lead = await scored(api, made.json["leadId"])
    assert lead["values"]["email"] == given["email"]
    assert lead["score"]["runId"] == made.json["runId"]
    assert lead["score"]["icpId"] == icp_id
    parts = [part["pointsMilli"] for part in lead["score"]["contributions"]]
    assert sum(parts) == lead["score"]["scoreMilli"]
    assert {one["source"] for one in lead["provenance"]} == {"api"}
    assert all(one["evidenceHash"] for one in lead["provenance"])
    assert lead["messages"] == []
    assert lead["costMicros"] == 0


async def test_a_lead_tells_what_would_make_its_score_high(api: Client) -> None:
    rule = {"kind": "WEIGHTED", "field": "title", "operator": "EQ", "value": "COO", "weight": 90}
    icp = {"name": "Needs", "rules": [rule]}
    icp_id = (await api.post("/v1/icps", icp)).json["id"]

    near = await api.post("/v1/leads", a_lead(icp_id, title="Baker"))
    there = await api.post("/v1/leads", a_lead(icp_id))

    score = (await scored(api, near.json["leadId"]))["score"]
    needs = score["needs"]
    assert (score["band"] == "HIGH", needs["band"], needs["isReachable"]) == (False, "HIGH", True)
    gained = sum(change["gainMilli"] for change in needs["changes"])
    assert score["scoreMilli"] + gained == needs["reachesMilli"]
    assert all(change["words"] in score["explanation"][-1] for change in needs["changes"])
    high = (await scored(api, there.json["leadId"]))["score"]
    assert (high["band"], high["needs"]["changes"]) == ("HIGH", [])


async def test_its_job_and_run_can_be_watched_to_their_ends(
    api: Client, icp_id: str, node: Node
) -> None:
    made = (await api.post("/v1/leads", a_lead(icp_id, sends="never"))).json

    job = await api.wait_for_job(made["jobId"])

    assert (job["state"], job["stage"]) == ("completed", "enrichment.run")
    assert job["runId"] == made["runId"]
    run = await runs.get(node.storage.db, UUID(made["runId"]))
    assert (run.kind, run.sends, run.providers) == ("lead", "never", ())


async def test_a_second_lead_with_the_same_email_is_a_conflict_that_starts_nothing(
    api: Client, icp_id: str, node_database: Database
) -> None:
    given = a_lead(icp_id)
    first = await api.post("/v1/leads", given)
    before = await count_runs(node_database)

    second = await api.post("/v1/leads", given)

    assert second.status == 409
    assert second.problem["code"] == "leads.lead.exists"
    assert first.json["leadId"] in second.problem["detail"]
    assert await count_runs(node_database) == before


async def count_runs(database: Database) -> int:
    return int(await database.fetch_value(sql("SELECT count(*) FROM run")))


async def test_of_equal_leads_at_the_same_moment_one_comes_in(api: Client, icp_id: str) -> None:
    given, answers = a_lead(icp_id), list[Answer]()

    async def create() -> None:
        answers.append(await api.post("/v1/leads", given))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(create)

    assert sorted(answer.status for answer in answers) == [201] + [409] * 7


async def test_the_creation_is_an_event_in_the_same_transaction_with_the_request_s_id_in_its_job(
    api: Client, icp_id: str, node: Node, node_database: Database
) -> None:
    request_id = f"mine-{uuid4().hex}"
    line = node.engine.runners["features.compute"]
    line.apply_pause(is_paused=True)
    node.engine.switches.states.clear()
    try:
        headers = {"X-Request-ID": request_id}
        made = await api.post("/v1/leads", a_lead(icp_id), headers=headers)
        await api.wait_for_job(made.json["jobId"])

        row = await node_database.fetch_one(
            sql("SELECT request_id FROM job WHERE run_id = $1", "run"), run=UUID(made.json["runId"])
        )
    finally:
        line.apply_pause(is_paused=False)

    assert made.headers["X-Request-ID"] == request_id
    assert row is not None
    assert row["request_id"] == request_id
    types = await node_database.fetch(
        sql("SELECT type FROM event WHERE subject = $1", "lead"), lead=UUID(made.json["leadId"])
    )
    assert "leads.lead.created" in {row["type"] for row in types}


async def test_a_lead_without_identity_is_refused_with_the_fields(api: Client, icp_id: str) -> None:
    refused = await api.post("/v1/leads", {"title": "COO", "icpId": icp_id})

    assert refused.status == 422
    assert refused.problem["fields"]


async def test_an_icp_that_is_not_there_is_not_found(api: Client) -> None:
    refused = await api.post("/v1/leads", a_lead(str(uuid4())))

    assert refused.status == 404
    assert refused.problem["code"] == "icp.profile.not_found"


@pytest.mark.parametrize("path", [f"/v1/leads/{NOBODY}", f"/v1/jobs/{NOBODY}"])
async def test_what_is_not_there_is_not_found(api: Client, path: str) -> None:
    refused = await api.get(path)

    assert refused.status == 404
    assert refused.problem["code"].endswith("not_found")


async def test_a_path_that_is_no_id_names_the_field(api: Client) -> None:
    refused = await api.get("/v1/leads/first")

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == "leadId"


async def test_leads_are_listed_by_filter_and_cursor_with_their_newest_score(
    api: Client, icp_id: str
) -> None:
    domain = f"d{uuid4().hex}.example"
    given = [
        a_lead(
            icp_id,
            email=f"p{number}@{domain}",
            fullName=f"Ann Number{number}",
            country="DE" if number else "NL",
        )
        for number in range(5)
    ]
    made = [(await api.post("/v1/leads", one)).json["leadId"] for one in given]
    for lead_id in made:
        await scored(api, lead_id)

    path = f"/v1/leads?companyDomain={domain}&icpId={icp_id}"
    first = (await api.get(f"{path}&limit=3")).json
    rest = (await api.get(f"{path}&limit=3&cursor={first['pagination']['nextCursor']}")).json
    by_email = (await api.get(f"/v1/leads?email=P2@{domain}")).json
    germans = (await api.get(f"{path}&country=de&limit=10")).json
    high = (await api.get(f"{path}&minScore=100&limit=10")).json

    listed = [one["id"] for one in [*first["data"], *rest["data"]]]
    assert listed == sorted(made, reverse=True)
    assert rest["pagination"]["nextCursor"] is None
    assert (first["pagination"]["total"], first["pagination"]["totalPages"]) == (5, 2)
    assert first["pagination"]["totalIsEstimate"] is False
    assert all(one["score"] is not None for one in first["data"])
    assert first["data"][0]["values"]["email"].endswith(domain)
    assert [one["id"] for one in by_email["data"]] == [made[2]]
    assert len(germans["data"]) == 4
    assert high["data"] == []


@pytest.mark.parametrize("query", ["status=odd", "band=TOP", "minScore=101", "icpId=x", "sort=x"])
async def test_a_filter_that_makes_no_sense_names_itself(api: Client, query: str) -> None:
    refused = await api.get(f"/v1/leads?{query}")

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == query.partition("=")[0]


async def test_a_lead_s_timeline_is_its_events_newest_first(api: Client, icp_id: str) -> None:
    made = (await api.post("/v1/leads", a_lead(icp_id))).json
    await scored(api, made["leadId"])

    told = (await api.get(f"/v1/leads/{made['leadId']}/timeline")).json["data"]

    types = [event["type"] for event in told]
    assert types[-1] == "leads.lead.created"
    assert "scoring.lead.scored" in types
    assert {event["runId"] for event in told} == {made["runId"]}
    assert told[-1]["payload"] == {"leadId": made["leadId"], "icpId": icp_id}
    assert (await api.get(f"/v1/leads/{NOBODY}/timeline")).status == 404


async def test_concurrent_requests_get_their_own_answers_and_no_half_written_lead(
    api: Client, icp_id: str, node_database: Database
) -> None:
    known = a_lead(icp_id)
    await api.post("/v1/leads", known)
    asked = [
        *[(a_lead(icp_id), 201) for _ in range(30)],
        *[(known, 409) for _ in range(5)],
        *[(a_lead(icp_id, email="no address"), 422) for _ in range(5)],
        *[(a_lead(str(uuid4())), 404) for _ in range(5)],
    ]
    made: list[Any] = []
    wrong: list[tuple[int, int]] = []

    async def create(given: dict[str, Any], wanted: int) -> None:
        answer = await api.post("/v1/leads", given)
        if answer.status != wanted:
            wrong.append((answer.status, wanted))
        if answer.status == 201:
            made.append(answer.json)

    async with anyio.create_task_group() as group:
        for given, wanted in asked:
            group.start_soon(create, given, wanted)

    assert wrong == []
    assert len({one["leadId"] for one in made}) == len({one["runId"] for one in made}) == 30
    for one in made:
        assert (await api.get(f"/v1/jobs/{one['jobId']}")).json["runId"] == one["runId"]
    told = await node_database.fetch(
        sql(
            "SELECT subject, run_id FROM event WHERE type = 'leads.lead.created'"
            " AND subject = ANY($1::uuid[])",
            "leads",
        ),
        leads=[UUID(one["leadId"]) for one in made],
    )
    assert {(str(row["subject"]), str(row["run_id"])) for row in told} == {
        (one["leadId"], one["runId"]) for one in made
    }


async def test_a_cached_page_shows_every_change_at_once(api: Client, icp_id: str) -> None:
    domain = f"d{uuid4().hex}.example"
    lead_id = (await api.post("/v1/leads", a_lead(icp_id, email=f"a@{domain}"))).json["leadId"]
    await scored(api, lead_id)
    path = f"/v1/leads/{lead_id}"
    first = await read_twice(api, path)

    tagged = await api.ask("PUT", f"{path}/tags/hot")
    version = (await read_twice(api, path))["version"]
    of_colleague = a_lead(icp_id, email=f"b@{domain}", fullName="Bo Kim", companyIndustry="Mining")
    await api.post("/v1/leads", of_colleague)
    scores = (await read_twice(api, path))["score"]["runId"]
    again = await api.post(f"{path}/score", {})
    with anyio.fail_after(10):
        while (await read_twice(api, path))["score"]["runId"] == scores:
            await anyio.lowlevel.checkpoint()

    assert (tagged.status // 100, again.status // 100) == (2, 2)
    assert version > first["version"]
    assert (await read_twice(api, path))["values"]["company_industry"] == "Mining"
    assert (await api.ask("DELETE", path)).status // 100 == 2
    assert (await api.get(path)).status == 404


async def read_twice(api: Client, path: str) -> Any:
    """Read a page twice: the second time from the cache."""
    first, second = await api.get(path), await api.get(path)
    assert first.status == second.status == 200
    return second.json
