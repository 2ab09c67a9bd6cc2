from uuid import uuid4

import pytest

from tests.support.api import Client

pytestmark = pytest.mark.pg


async def a_lead(api: Client, icp_id: str) -> dict[str, str]:
    body = {"icpId": icp_id, "email": f"{uuid4()}@acme.example", "sends": "never", "providers": []}
    answer = await api.post("/v1/leads", body)
    assert answer.status == 201
    created: dict[str, str] = answer.json
    return created


async def test_the_jobs_of_a_run_are_listed_newest_first(api: Client, icp_id: str) -> None:
    lead = await a_lead(api, icp_id)
    await api.wait_for_job(lead["jobId"])

    listed = (await api.get(f"/v1/jobs?runId={lead['runId']}")).json["data"]
    first = (await api.get(f"/v1/jobs?runId={lead['runId']}&stage=enrichment.run")).json["data"]

    assert listed == sorted(listed, key=lambda job: job["id"], reverse=True)
    assert {job["runId"] for job in listed} == {lead["runId"]}
    assert [job["id"] for job in first] == [lead["jobId"]]
    assert first[0] == (await api.get(f"/v1/jobs/{lead['jobId']}")).json


async def test_a_list_of_jobs_goes_on_from_its_cursor(api: Client, icp_id: str) -> None:
    leads = [await a_lead(api, icp_id) for _ in range(3)]
    for lead in leads:
        await api.wait_for_job(lead["jobId"])
    job_ids: list[str] = []
    cursor: str | None = ""

    while cursor is not None:
        page = (await api.get(f"/v1/jobs?state=completed&limit=3&cursor={cursor}")).json
        job_ids += [job["id"] for job in page["data"]]
        cursor = page["pagination"]["nextCursor"]

    assert {lead["jobId"] for lead in leads} <= set(job_ids)
    assert len(job_ids) == len(set(job_ids))


@pytest.mark.parametrize(
    "query", ["state=lost", "runId=x", "cursor=x", "limit=0", "leadId=1", "page=2"]
)
async def test_a_filter_that_makes_no_sense_is_refused(api: Client, query: str) -> None:
    assert (await api.get(f"/v1/jobs?{query}")).status == 422


async def test_an_unknown_lead_has_no_jobs(api: Client) -> None:
    assert (await api.get(f"/v1/jobs?leadId={uuid4()}")).json["data"] == []
