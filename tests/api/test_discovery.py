from uuid import uuid4

import anyio
import pytest

from tests.support.api import Client

pytestmark = pytest.mark.pg


async def test_a_run_is_started_watched_and_cancelled(api: Client, icp_id: str) -> None:
    body = {"icpId": icp_id, "maxLeads": 7, "sends": "never", "capMicros": 5, "kind": "search"}

    made = await api.post("/v1/discovery/runs", body)

    assert made.status == 201
    path = f"/v1/discovery/runs/{made.json['runId']}"
    run = (await api.get(path)).json
    assert (run["icpId"], run["kind"], run["provider"]) == (icp_id, "search", "apollo")
    assert (run["wantedCount"], run["sends"], run["capMicros"]) == (7, "never", 5)
    assert (run["state"], run["runState"], run["progress"]["found"]) == ("RUNNING", "running", 0)
    assert (await api.get(f"/v1/jobs/{made.json['jobId']}")).json["stage"] == "discovery.run"

    cancelled = await api.ask("PUT", f"{path}/cancellation")
    again = await api.ask("PUT", f"{path}/cancellation")

    assert cancelled.json == again.json
    assert cancelled.json["isCancelled"] is True
    with anyio.fail_after(15):
        job = await api.wait_for_job(made.json["jobId"])
    assert job["state"] in {"cancelled", "failed"}
    assert (await api.get(path)).json["runState"] == "cancelled"


async def test_a_provider_that_cannot_search_is_named(api: Client, icp_id: str) -> None:
    refused = await api.post("/v1/discovery/runs", {"icpId": icp_id, "provider": "smtp"})

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == "provider"


@pytest.mark.parametrize("over", [{"maxLeads": 0}, {"sends": "maybe"}, {"kind": "No Words"}])
async def test_values_out_of_range_name_their_field(api: Client, over: dict[str, object]) -> None:
    refused = await api.post("/v1/discovery/runs", over)

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == next(iter(over))


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_run_that_is_not_there_is_not_found(api: Client, method: str) -> None:
    path = f"/v1/discovery/runs/{uuid4()}" + ("/cancellation" if method == "PUT" else "")

    refused = await api.ask(method, path)

    assert refused.status == 404
    assert refused.problem["code"].endswith("not_found")


async def test_runs_are_listed_newest_first_by_icp(api: Client) -> None:
    icp = (await api.post("/v1/icps", {"name": "Listed"})).json["id"]
    body = {"icpId": icp, "maxLeads": 3, "sends": "never", "providers": [], "again": True}
    made = [(await api.post("/v1/discovery/runs", body)).json["runId"] for _ in range(3)]

    first = (await api.get(f"/v1/discovery/runs?icpId={icp}&limit=2")).json
    cursor = first["pagination"]["nextCursor"]
    rest = (await api.get(f"/v1/discovery/runs?icpId={icp}&limit=2&cursor={cursor}")).json

    assert [one["id"] for one in [*first["data"], *rest["data"]]] == made[::-1]
    assert (await api.get("/v1/discovery/runs?state=null")).status == 422
