from uuid import uuid4

import anyio
import pytest

from tests.api.routes.test_jobs import a_lead
from tests.support.api import Client

pytestmark = pytest.mark.pg


async def test_a_run_shows_its_leads_its_jobs_and_its_money(api: Client, icp_id: str) -> None:
    lead = await a_lead(api, icp_id)
    await api.wait_for_job(lead["jobId"])

    listed = (await api.get("/v1/runs?kind=lead&limit=200")).json["data"]
    run = (await api.get(f"/v1/runs/{lead['runId']}")).json

    assert lead["runId"] in {run["id"] for run in listed}
    assert {run["kind"] for run in listed} == {"lead"}
    assert (run["kind"], run["sends"], run["providers"]) == ("lead", "never", [])
    assert run["progress"]["found"] == 1
    assert run["capUsedMicros"] == 0
    assert run["capMicros"] == 5_000_000
    assert (await api.get(f"/v1/runs/{uuid4()}")).problem["code"] == "run.not_found"


async def test_a_run_of_any_kind_is_cancelled_once(api: Client, icp_id: str) -> None:
    body = {"icpId": icp_id, "kind": "search", "providers": [], "again": True}
    run_id = (await api.post("/v1/discovery/runs", body)).json["runId"]
    path = f"/v1/runs/{run_id}"

    cancelled = await api.ask("PUT", f"{path}/cancellation")
    again = await api.ask("PUT", f"{path}/cancellation")

    expected = {"runId": run_id, "isCancelled": True, "state": "cancelled"}
    assert cancelled.json == again.json == expected
    assert (await api.get(path)).json["isCancelled"] is True
    by_kind = (await api.get("/v1/runs?kind=search&state=cancelled")).json["data"]
    assert run_id in {run["id"] for run in by_kind}
    assert {run["kind"] for run in by_kind} == {"search"}
    running = (await api.get("/v1/runs?state=running&limit=200")).json["data"]
    assert run_id not in {run["id"] for run in running}
    assert (await api.ask("PUT", f"/v1/runs/{uuid4()}/cancellation")).status == 404


async def test_a_run_that_has_ended_is_cancelled_while_a_dead_letter_of_it_could_go_on(
    api: Client, icp_id: str
) -> None:
    lead = await a_lead(api, icp_id)
    await api.wait_for_job(lead["jobId"])
    body = {"icpId": icp_id, "providers": [], "again": True}
    failed = (await api.post("/v1/discovery/runs", body)).json["runId"]  # nobody may be paid
    for run_id in (lead["runId"], failed):
        with anyio.fail_after(10):
            while (await api.get(f"/v1/runs/{run_id}")).json["state"] == "running":
                await anyio.lowlevel.checkpoint()
    letters = (await api.get(f"/v1/admin/dead-letters?runId={failed}")).json["data"]

    done = await api.ask("PUT", f"/v1/runs/{lead['runId']}/cancellation")
    cancelled = await api.ask("PUT", f"/v1/runs/{failed}/cancellation")
    chosen = {"ids": [letter["id"] for letter in letters]}
    replayed = await api.post("/v1/admin/dead-letter-replays", chosen)
    acts = (await api.get(f"/v1/audit?action=run.cancelled&subjectId={failed}")).json["data"]

    assert (done.json["isCancelled"], done.json["state"]) == (False, "completed")
    assert (cancelled.json["isCancelled"], cancelled.json["state"]) == (True, "cancelled")
    assert replayed.json["counts"] == {"run_cancelled": 1}
    assert len(acts) == 1
