from uuid import uuid4

import pytest

from tests.support.api import Client

pytestmark = pytest.mark.pg


async def a_lead(api: Client, icp_id: str) -> dict[str, str]:
    body = {"icpId": icp_id, "email": f"{uuid4()}@acme.example", "sends": "never", "providers": []}
    made = await api.post("/v1/leads", body)
    assert made.status == 201
    told: dict[str, str] = made.json
    return told


async def test_the_jobs_of_a_run_are_listed_newest_first(api: Client, icp_id: str) -> None:
    made = await a_lead(api, icp_id)
    await api.wait_for_job(made["jobId"])

    listed = (await api.get(f"/v1/jobs?runId={made['runId']}")).json["data"]
    first = (await api.get(f"/v1/jobs?runId={made['runId']}&stage=enrichment.run")).json["data"]

    assert listed == sorted(listed, key=lambda job: job["id"], reverse=True)
    assert {job["runId"] for job in listed} == {made["runId"]}
    assert [job["id"] for job in first] == [made["jobId"]]
    assert first[0] == (await api.get(f"/v1/jobs/{made['jobId']}")).json


async def test_a_list_of_jobs_goes_on_from_its_cursor(api: Client, icp_id: str) -> None:
    made = [await a_lead(api, icp_id) for _ in range(3)]
    for one in made:
        await api.wait_for_job(one["jobId"])
    seen: list[str] = []
    cursor: str | None = ""

    while cursor is not None:
        page = (await api.get(f"/v1/jobs?state=completed&limit=3&cursor={cursor}")).json
        seen += [job["id"] for job in page["data"]]
        cursor = page["pagination"]["nextCursor"]

    assert {one["jobId"] for one in made} <= set(seen)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    "query", ["state=lost", "runId=x", "cursor=x", "limit=0", "leadId=1", "page=2"]
)
async def test_a_filter_that_makes_no_sense_is_refused(api: Client, query: str) -> None:
    assert (await api.get(f"/v1/jobs?{query}")).status == 422


async def test_jobs_about_a_lead_nobody_knows_are_none(api: Client) -> None:
    assert (await api.get(f"/v1/jobs?leadId={uuid4()}")).json["data"] == []


async def test_a_run_tells_its_leads_its_jobs_and_its_money(api: Client, icp_id: str) -> None:
    made = await a_lead(api, icp_id)
    await api.wait_for_job(made["jobId"])

    listed = (await api.get("/v1/runs?kind=lead&limit=200")).json["data"]
    run = (await api.get(f"/v1/runs/{made['runId']}")).json

    assert made["runId"] in {one["id"] for one in listed}
    assert {one["kind"] for one in listed} == {"lead"}
    assert (run["kind"], run["sends"], run["providers"]) == ("lead", "never", [])
    assert run["progress"]["found"] == 1
    assert run["capUsedMicros"] == 0
    assert run["capMicros"] == 5_000_000
    assert (await api.get(f"/v1/runs/{uuid4()}")).problem["code"] == "run.not_found"


async def test_a_run_of_any_kind_is_cancelled_once(api: Client, icp_id: str) -> None:
    body = {"icpId": icp_id, "kind": "odd", "providers": [], "again": True}
    run_id = (await api.post("/v1/discovery/runs", body)).json["runId"]
    path = f"/v1/runs/{run_id}"

    cancelled = await api.ask("PUT", f"{path}/cancellation")
    again = await api.ask("PUT", f"{path}/cancellation")

    assert cancelled.json == again.json == {
        "runId": run_id, "isCancelled": True, "state": "cancelled"
    }  # fmt: skip
    assert (await api.get(path)).json["isCancelled"] is True
    by_kind = (await api.get("/v1/runs?kind=odd&state=cancelled")).json["data"]
    assert [one["id"] for one in by_kind] == [run_id]
    running = (await api.get("/v1/runs?state=running&limit=200")).json["data"]
    assert run_id not in {one["id"] for one in running}
    assert (await api.ask("PUT", f"/v1/runs/{uuid4()}/cancellation")).status == 404
