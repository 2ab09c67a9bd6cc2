from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from leadflood.app import Node
from leadflood.engine.db.pool import Database

from tests.api.routes.test_leads import a_lead, scored
from tests.support.api import Client
from tests.support.leads import hash_of_leads, make_leads
from tests.support.statements import sql

pytestmark = pytest.mark.pg


async def wait_for_items(api: Client, run_id: str) -> Any:
    """Wait until every item has ended; the run itself ends at the watcher's next poll."""
    with anyio.fail_after(20):
        while (view := (await api.get(f"/v1/bulk/{run_id}")).json)["leftCount"]:
            await anyio.lowlevel.checkpoint()
    return view


async def wait_for_run(api: Client, run_id: str) -> Any:
    """Wait until the follow-up work has ended too."""
    with anyio.fail_after(20):
        while (view := (await api.get(f"/v1/bulk/{run_id}")).json)["state"] == "running":
            await anyio.lowlevel.checkpoint()
    return view


async def start(api: Client, ids: Sequence[str], **body: Any) -> Any:
    started = await api.post("/v1/leads/bulk", {"ids": list(ids), **body})
    assert started.status == 202, started.body
    return started.json


async def undo(api: Client, run_id: str) -> Any:
    started = await api.post(f"/v1/bulk/{run_id}/undo")
    assert started.status == 202, started.body
    return await wait_for_items(api, started.json["runId"])


async def test_an_undo_restores_exactly_what_many_tagged_leads_had(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 1_203)
    word = uuid4().hex[:8]
    await start_and_wait(api, ids[:300], action="tag", tag=f"a{word}")
    await start_and_wait(api, ids[:100], action="tag", tag=f"z{word}")
    before = await hash_of_leads(node_database, ids)

    started = await start(api, ids, action="tag", tag=f"M{word}")
    view = await wait_for_items(api, started["runId"])

    assert started["count"] == view["count"] == view["doneCount"] == 1_203
    assert (view["leftCount"], view["isUndoable"], view["problems"]) == (0, True, [])
    assert await hash_of_leads(node_database, ids) != before
    jobs = await node_database.fetch_value(
        sql("SELECT count(*) FROM history WHERE run_id = $1", "run"), run=UUID(started["runId"])
    )
    assert jobs == 3, "chunks of 500"
    undone = await undo(api, started["runId"])
    assert (undone["doneCount"], undone["undoes"]) == (1_203, started["runId"])
    assert await hash_of_leads(node_database, ids) == before
    again = await api.post(f"/v1/bulk/{started['runId']}/undo")
    assert again.problem["code"] == "bulk.undo.done"


async def start_and_wait(api: Client, ids: Sequence[str], **body: Any) -> Any:
    return await wait_for_items(api, (await start(api, ids, **body))["runId"])


@pytest.mark.parametrize(
    "action", [{"action": "delete"}, {"action": "assign", "ownerId": None}], ids=str
)
async def test_deletions_and_assignments_are_undone_exactly(
    api: Client, node: Node, node_database: Database, action: Any
) -> None:
    ids = await make_leads(node.storage, 30, owner=str(uuid4()))
    before = await hash_of_leads(node_database, ids)

    view = await start_and_wait(api, ids, **action)

    assert view["doneCount"] == 30
    assert await hash_of_leads(node_database, ids) != before
    await undo(api, view["runId"])
    assert await hash_of_leads(node_database, ids) == before


async def test_restoring_and_untagging_are_undone_too(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 12)
    await start_and_wait(api, ids, action="tag", tag="once")
    await start_and_wait(api, ids[:6], action="delete")
    before = await hash_of_leads(node_database, ids)

    restored = await start_and_wait(api, ids[:6], action="restore")
    untagged = await start_and_wait(api, ids[6:], action="untag", tag="once")

    assert (restored["doneCount"], untagged["doneCount"]) == (6, 6)
    await undo(api, untagged["runId"])
    await undo(api, restored["runId"])
    assert await hash_of_leads(node_database, ids) == before


async def test_an_undo_keeps_later_changes_and_reports_them(api: Client, node: Node) -> None:
    ids = await make_leads(node.storage, 3)
    tagged = await start_and_wait(api, ids, action="tag", tag="campaign")
    await api.ask("DELETE", f"/v1/leads/{ids[0]}/tags/campaign")
    await api.ask("PUT", f"/v1/leads/{ids[1]}/tags/mine")

    undone = await undo(api, tagged["runId"])

    assert (undone["doneCount"], undone["refusedCount"]) == (2, 1)
    assert undone["problems"] == [
        {"leadId": ids[0], "state": "refused", "code": "bulk.changed_since"}
    ]
    lead = await api.ask("PUT", f"/v1/leads/{ids[1]}/tags/mine")
    assert lead.json["tags"] == ["mine"]


async def test_a_preview_counts_and_changes_nothing(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 5)
    await api.ask("DELETE", f"/v1/leads/{ids[0]}")
    await api.ask("PUT", f"/v1/leads/{ids[1]}/tags/hot")
    before = await hash_of_leads(node_database, ids)

    answer = await api.post(
        "/v1/leads/bulk",
        {"action": "tag", "tag": "Hot", "ids": [*ids, str(uuid4())], "preview": True},
    )

    assert answer.status == 200
    assert (answer.json["runId"], answer.json["jobId"]) == (None, None)
    preview = answer.json["preview"]
    assert (preview["count"], preview["changeCount"], preview["unchangedCount"]) == (6, 3, 1)
    assert preview["refused"] == [
        {"code": "leads.lead.deleted", "count": 1},
        {"code": "leads.not_found", "count": 1},
    ]
    assert set(ids) <= set(preview["sample"])
    assert await hash_of_leads(node_database, ids) == before


async def test_a_filter_selects_the_leads_when_the_action_starts(api: Client, node: Node) -> None:
    word = uuid4().hex[:8]
    ids = await make_leads(node.storage, 7)
    await start_and_wait(api, ids, action="tag", tag=word)
    body = {"action": "untag", "tag": word, "filter": {"tag": word.upper()}}

    refused = await api.post("/v1/leads/bulk", {**body, "expectedCount": 6})
    started = await api.post("/v1/leads/bulk", {**body, "expectedCount": 7})

    assert refused.problem["code"] == "bulk.count.other"
    view = await wait_for_items(api, started.json["runId"])
    assert (view["doneCount"], view["filter"]) == (7, {"tag": word.upper()})
    empty = await api.post("/v1/leads/bulk", body)
    assert empty.problem["code"] == "bulk.empty"


async def test_a_repeated_key_gives_the_same_answer_when_the_filter_matches_nothing_any_more(
    api: Client, node: Node
) -> None:
    word = f"again-{uuid4().hex[:8]}"
    await start_and_wait(api, await make_leads(node.storage, 3), action="tag", tag=word)
    body = {"action": "untag", "tag": word, "filter": {"tag": word}, "expectedCount": 3}
    key = {"Idempotency-Key": uuid4().hex}

    first = await api.post("/v1/leads/bulk", body, headers=key)
    await wait_for_items(api, first.json["runId"])
    again = await api.post("/v1/leads/bulk", body, headers=key)

    assert (again.status, again.json) == (first.status, first.json)


async def test_a_bulk_action_is_audited_once(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 4)

    view = await start_and_wait(api, ids, action="delete")

    rows = await node_database.fetch(
        sql("SELECT action, detail FROM audit_event WHERE subject_id = $1", "run"),
        run=view["runId"],
    )
    assert [row["action"] for row in rows] == ["bulk.started"]
    assert '"count":4' in rows[0]["detail"]


async def test_every_lead_has_its_event_with_its_version(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 4)

    view = await start_and_wait(api, ids, action="tag", tag="seen")

    rows = await node_database.fetch(
        sql(
            "SELECT event.subject, event.version, lead.version AS now FROM event"
            " JOIN lead ON lead.id = event.subject"
            " WHERE event.run_id = $1 AND type = 'leads.lead.tagged'",
            "run",
        ),
        run=UUID(view["runId"]),
    )
    assert {str(row["subject"]) for row in rows} == set(ids)
    assert all(row["version"] == row["now"] for row in rows)


async def test_leads_are_scored_in_the_run_of_the_action(
    api: Client, icp_id: str, node_database: Database
) -> None:
    lead_ids = [(await api.post("/v1/leads", a_lead(icp_id))).json["leadId"] for _ in range(3)]
    for lead_id in lead_ids:
        await scored(api, lead_id)

    started = await start(api, lead_ids, action="score", icpId=icp_id)
    view = await wait_for_run(api, started["runId"])

    scores = await node_database.fetch_value(
        sql("SELECT count(*) FROM score_prediction WHERE run_id = $1", "run"),
        run=UUID(view["runId"]),
    )
    assert scores == 3
    assert view["isUndoable"] is False
    refused = await api.post(f"/v1/bulk/{view['runId']}/undo")
    assert refused.problem["code"] == "bulk.undo.never"


async def test_a_cancelled_action_stops_and_what_it_did_is_undone(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 1_100)
    before = await hash_of_leads(node_database, ids)
    runner = node.engine.runners["bulk.run"]
    runner.apply_pause(is_paused=True)
    try:
        started = await start(api, ids, action="delete")
        refused = await api.post(f"/v1/bulk/{started['runId']}/undo")
        cancelled = await api.ask("PUT", f"/v1/bulk/{started['runId']}/cancellation")
    finally:
        runner.apply_pause(is_paused=False)

    assert refused.problem["code"] == "bulk.undo.running"
    assert cancelled.json["state"] == "cancelled"
    view = await wait_for_items(api, started["runId"])
    assert view["doneCount"] + view["cancelledCount"] == 1_100
    if view["doneCount"]:
        await undo(api, started["runId"])
    assert await hash_of_leads(node_database, ids) == before


async def test_the_same_key_starts_the_action_once(api: Client, node: Node) -> None:
    ids = await make_leads(node.storage, 2)
    headers = {"Idempotency-Key": uuid4().hex}
    body = {"action": "tag", "tag": "once", "ids": ids}

    first = await api.post("/v1/leads/bulk", body, headers=headers)
    again = await api.post("/v1/leads/bulk", body, headers=headers)

    assert first.json == again.json
    await wait_for_items(api, first.json["runId"])


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"action": "delete"}, "ids"),
        ({"action": "delete", "ids": [str(uuid4())], "filter": {}}, "ids"),
        ({"action": "tag", "ids": [str(uuid4())]}, "tag"),
        ({"action": "assign", "ids": [str(uuid4())]}, "ownerId"),
        ({"action": "delete", "ids": [str(uuid4())], "tag": "x"}, "tag"),
        ({"action": "restore", "filter": {}}, "filter"),
        ({"action": "delete", "ids": []}, "ids"),
        ({"action": "explode", "ids": [str(uuid4())]}, "action"),
    ],
)
async def test_parameters_that_do_not_go_together_are_refused(
    api: Client, body: Any, path: str
) -> None:
    refused = await api.post("/v1/leads/bulk", body)

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == path


async def test_an_unknown_action_is_not_found(api: Client) -> None:
    path = f"/v1/bulk/{uuid4()}"

    assert (await api.get(path)).status == 404
    assert (await api.ask("PUT", f"{path}/cancellation")).status == 404
    assert (await api.post(f"{path}/undo")).status == 404
