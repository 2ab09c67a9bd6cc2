from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database

from tests.api.routes.test_jobs import a_lead
from tests.api.routes.test_messages import a_draft
from tests.support.api import Client
from tests.support.messaging import World
from tests.support.statements import sql

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


async def wait_for_end(api: Client, run_id: str) -> dict[str, Any]:
    with anyio.fail_after(10):
        while (run := (await api.get(f"/v1/runs/{run_id}")).json)["state"] == "running":
            await REAL_TIME.sleep(0.05)
    return dict(run)


async def a_waiting_message(api: Client, world: World) -> tuple[str, str]:
    """Approve a message while its settings are missing; return its path and its run."""
    path = await a_draft(api, world)
    run_id = (await api.get(path)).json["message"]["runId"]
    assert (await api.ask("PUT", f"{path}/approval")).status == 200
    return path, run_id


async def test_a_run_ends_though_a_message_waits_and_says_what_for_until_it_is_cancelled(
    api: Client, world: World
) -> None:
    path, run_id = await a_waiting_message(api, world)

    run = await wait_for_end(api, run_id)
    message = (await api.get(path)).json["message"]
    cancelled = await api.ask("PUT", f"/v1/runs/{run_id}/cancellation")
    with anyio.fail_after(20):
        while (ended := (await api.get(path)).json["message"])["intentState"] == "ready":
            await REAL_TIME.sleep(0.05)

    [wait] = run["waits"]
    assert (run["state"], run["progress"]["ready"]) == ("completed", 1)
    assert (wait["stage"], wait["count"], wait["againAt"]) == ("message.send", 1, None)
    assert wait["reason"] == message["intentDetail"]
    assert "providers.smtp.base_url" in wait["reason"]
    assert (message["intentState"], message["intentCode"]) == ("ready", "waits_for_setup")
    assert cancelled.json["isCancelled"] is True
    assert (ended["intentState"], ended["intentCode"]) == ("cancelled", "run.cancelled")
    assert (await api.get(f"/v1/runs/{run_id}")).json["waits"] == []


async def test_a_cap_is_raised_also_after_the_end_and_what_waited_for_it_goes_on(
    api: Client, world: World, node_database: Database
) -> None:
    path, run_id = await a_waiting_message(api, world)
    await wait_for_end(api, run_id)
    caps = f"/v1/runs/{run_id}/caps"
    await api.ask("PATCH", caps, {"capMicros": 100})
    await node_database.execute(
        sql(
            "UPDATE intent SET code = 'waits_for_money', detail = 'raise the cap',"
            " needed_micros = 300 WHERE run_id = $1",
            "run",
        ),
        run=UUID(run_id),
    )

    waiting = (await api.get(f"/v1/runs/{run_id}")).json
    summed = (await api.get("/v1/admin/sending")).json["waiting"]
    too_low = await api.ask("PATCH", caps, {"capMicros": 299})
    enough = await api.ask("PATCH", caps, {"capMicros": 300, "leadCapMicros": 400})
    with anyio.fail_after(10):  # it goes on to the mail server, which there is not
        while (await api.get(path)).json["message"]["intentCode"] != "waits_for_setup":
            await REAL_TIME.sleep(0.05)
    run = await wait_for_end(api, run_id)

    assert [wait["reason"] for wait in waiting["waits"]] == ["raise the cap"]
    assert {"code": "waits_for_money", "detail": "raise the cap", "count": 1} in summed
    assert too_low.json["resumedCount"] == 0
    assert (enough.json["capMicros"], enough.json["leadCapMicros"]) == (300, 400)
    assert enough.json["resumedCount"] == 1
    assert (run["capMicros"], run["leadCapMicros"]) == (300, 400)
    await api.ask("PUT", f"/v1/runs/{run_id}/cancellation")
    refused = await api.ask("PATCH", caps, {"capMicros": None})
    assert (refused.status, refused.problem["code"]) == (409, "run.cancelled")
    rows = await node_database.fetch(
        sql(
            "SELECT id FROM audit_event WHERE action = 'run.caps_changed' AND subject_id = $1", "id"
        ),
        id=run_id,
    )
    assert len(rows) == 3
