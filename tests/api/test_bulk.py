from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from leadflood.app import Node
from leadflood.engine.db.pool import Database

from tests.api.test_leads import a_lead, scored
from tests.support.api import Client
from tests.support.leads import hash_of_leads, make_leads
from tests.support.statements import sql

pytestmark = pytest.mark.pg


async def finished(api: Client, run_id: str) -> Any:
    """Wait until every item has ended; its run ends at the watcher's next look."""
    with anyio.fail_after(20):
        while (view := (await api.get(f"/v1/bulk/{run_id}")).json)["leftCount"]:
            await anyio.lowlevel.checkpoint()
    return view


async def completed(api: Client, run_id: str) -> Any:
    """Wait until all that follows from it has ended too."""
    with anyio.fail_after(20):
        while (view := (await api.get(f"/v1/bulk/{run_id}")).json)["state"] == "running":
            await anyio.lowlevel.checkpoint()
    return view


async def begin(api: Client, ids: Sequence[str], **body: Any) -> Any:
    begun = await api.post("/v1/leads/bulk", {"ids": list(ids), **body})
    assert begun.status == 202, begun.body
    return begun.json


async def undo(api: Client, run_id: str) -> Any:
    begun = await api.post(f"/v1/bulk/{run_id}/undo")
    assert begun.status == 202, begun.body
    return await finished(api, begun.json["runId"])


async def test_many_leads_are_tagged_in_chunks_and_get_back_exactly_what_they_had(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 1_203)
    word = uuid4().hex[:8]
    await begin_and_wait(api, ids[:300], action="tag", tag=f"a{word}")
    await begin_and_wait(api, ids[:100], action="tag", tag=f"z{word}")
    before = await hash_of_leads(node_database, ids)

    begun = await begin(api, ids, action="tag", tag=f"M{word}")
    view = await finished(api, begun["runId"])

    assert begun["count"] == view["count"] == view["doneCount"] == 1_203
    assert (view["leftCount"], view["isUndoable"], view["problems"]) == (0, True, [])
    assert await hash_of_leads(node_database, ids) != before
    jobs = await node_database.fetch_value(
        sql("SELECT count(*) FROM history WHERE run_id = $1", "run"), run=UUID(begun["runId"])
    )
    assert jobs == 3, "chunks of 500"
    undone = await undo(api, begun["runId"])
    assert (undone["doneCount"], undone["undoes"]) == (1_203, begun["runId"])
    assert await hash_of_leads(node_database, ids) == before
    again = await api.post(f"/v1/bulk/{begun['runId']}/undo")
    assert again.problem["code"] == "bulk.undo.done"


async def begin_and_wait(api: Client, ids: Sequence[str], **body: Any) -> Any:
    return await finished(api, (await begin(api, ids, **body))["runId"])


@pytest.mark.parametrize(
    "deed", [{"action": "delete"}, {"action": "assign", "ownerId": None}], ids=str
)
async def test_what_was_deleted_or_assigned_is_undone_exactly(
    api: Client, node: Node, node_database: Database, deed: Any
) -> None:
    ids = await make_leads(node.storage, 30, owner=str(uuid4()))
    before = await hash_of_leads(node_database, ids)

    view = await begin_and_wait(api, ids, **deed)

    assert view["doneCount"] == 30
    assert await hash_of_leads(node_database, ids) != before
    await undo(api, view["runId"])
    assert await hash_of_leads(node_database, ids) == before


async def test_restoring_and_untagging_are_undone_too(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 12)
    await begin_and_wait(api, ids, action="tag", tag="once")
    await begin_and_wait(api, ids[:6], action="delete")
    before = await hash_of_leads(node_database, ids)

    restored = await begin_and_wait(api, ids[:6], action="restore")
    untagged = await begin_and_wait(api, ids[6:], action="untag", tag="once")

    assert (restored["doneCount"], untagged["doneCount"]) == (6, 6)
    await undo(api, untagged["runId"])
    await undo(api, restored["runId"])
    assert await hash_of_leads(node_database, ids) == before


async def test_what_was_changed_since_stays_and_is_told(api: Client, node: Node) -> None:
    ids = await make_leads(node.storage, 3)
    tagged = await begin_and_wait(api, ids, action="tag", tag="campaign")
    await api.ask("DELETE", f"/v1/leads/{ids[0]}/tags/campaign")
    await api.ask("PUT", f"/v1/leads/{ids[1]}/tags/mine")

    undone = await undo(api, tagged["runId"])

    assert (undone["doneCount"], undone["refusedCount"]) == (2, 1)
    assert undone["problems"] == [
        {"leadId": ids[0], "state": "refused", "code": "bulk.changed_since"}
    ]
    kept = await api.ask("PUT", f"/v1/leads/{ids[1]}/tags/mine")
    assert kept.json["tags"] == ["mine"]


async def test_a_preview_tells_and_changes_nothing(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 5)
    await api.ask("DELETE", f"/v1/leads/{ids[0]}")
    await api.ask("PUT", f"/v1/leads/{ids[1]}/tags/hot")
    before = await hash_of_leads(node_database, ids)

    told = await api.post(
        "/v1/leads/bulk",
        {"action": "tag", "tag": "Hot", "ids": [*ids, str(uuid4())], "preview": True},
    )

    assert told.status == 200
    assert (told.json["runId"], told.json["jobId"]) == (None, None)
    preview = told.json["preview"]
    assert (preview["count"], preview["changeCount"], preview["unchangedCount"]) == (6, 3, 1)
    assert preview["refused"] == [
        {"code": "leads.lead.deleted", "count": 1},
        {"code": "leads.not_found", "count": 1},
    ]
    assert set(ids) <= set(preview["sample"])
    assert await hash_of_leads(node_database, ids) == before


async def test_a_filter_names_the_leads_once_and_for_all(api: Client, node: Node) -> None:
    word = uuid4().hex[:8]
    ids = await make_leads(node.storage, 7)
    await begin_and_wait(api, ids, action="tag", tag=word)
    body = {"action": "untag", "tag": word, "filter": {"tag": word.upper()}}

    wrong = await api.post("/v1/leads/bulk", {**body, "expectedCount": 6})
    begun = await api.post("/v1/leads/bulk", {**body, "expectedCount": 7})

    assert wrong.problem["code"] == "bulk.count.other"
    view = await finished(api, begun.json["runId"])
    assert (view["doneCount"], view["filter"]) == (7, {"tag": word.upper()})
    empty = await api.post("/v1/leads/bulk", body)
    assert empty.problem["code"] == "bulk.empty"


async def test_asked_again_with_its_key_it_is_the_same_though_its_filter_finds_nothing_now(
    api: Client, node: Node
) -> None:
    word = f"again-{uuid4().hex[:8]}"
    await begin_and_wait(api, await make_leads(node.storage, 3), action="tag", tag=word)
    body = {"action": "untag", "tag": word, "filter": {"tag": word}, "expectedCount": 3}
    key = {"Idempotency-Key": uuid4().hex}

    first = await api.post("/v1/leads/bulk", body, headers=key)
    await finished(api, first.json["runId"])
    again = await api.post("/v1/leads/bulk", body, headers=key)

    assert (again.status, again.json) == (first.status, first.json)


async def test_a_bulk_action_is_audited_once(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 4)

    view = await begin_and_wait(api, ids, action="delete")

    rows = await node_database.fetch(
        sql("SELECT action, detail FROM audit_event WHERE subject_id = $1", "run"),
        run=view["runId"],
    )
    assert [row["action"] for row in rows] == ["bulk.begun"]
    assert '"count":4' in rows[0]["detail"]


async def test_every_lead_has_its_event_with_its_version(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 4)

    view = await begin_and_wait(api, ids, action="tag", tag="seen")

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
    made = [(await api.post("/v1/leads", a_lead(icp_id))).json["leadId"] for _ in range(3)]
    for lead_id in made:
        await scored(api, lead_id)

    begun = await begin(api, made, action="score", icpId=icp_id)
    view = await completed(api, begun["runId"])

    scores = await node_database.fetch_value(
        sql("SELECT count(*) FROM score_prediction WHERE run_id = $1", "run"),
        run=UUID(view["runId"]),
    )
    assert scores == 3
    assert view["isUndoable"] is False
    never = await api.post(f"/v1/bulk/{view['runId']}/undo")
    assert never.problem["code"] == "bulk.undo.never"


async def test_a_cancelled_action_stops_and_what_it_did_is_undone(
    api: Client, node: Node, node_database: Database
) -> None:
    ids = await make_leads(node.storage, 1_100)
    before = await hash_of_leads(node_database, ids)
    line = node.engine.runners["leads.bulk"]
    line.apply_pause(is_paused=True)
    try:
        begun = await begin(api, ids, action="delete")
        refused = await api.post(f"/v1/bulk/{begun['runId']}/undo")
        cancelled = await api.ask("PUT", f"/v1/bulk/{begun['runId']}/cancellation")
    finally:
        line.apply_pause(is_paused=False)

    assert refused.problem["code"] == "bulk.undo.running"
    assert cancelled.json["state"] == "cancelled"
    view = await finished(api, begun["runId"])
    assert view["doneCount"] + view["cancelledCount"] == 1_100
    if view["doneCount"]:
        await undo(api, begun["runId"])
    assert await hash_of_leads(node_database, ids) == before


async def test_the_same_key_begins_it_once(api: Client, node: Node) -> None:
    ids = await make_leads(node.storage, 2)
    headers = {"Idempotency-Key": uuid4().hex}
    body = {"action": "tag", "tag": "once", "ids": ids}

    first = await api.post("/v1/leads/bulk", body, headers=headers)
    again = await api.post("/v1/leads/bulk", body, headers=headers)

    assert first.json == again.json
    await finished(api, first.json["runId"])


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
async def test_what_does_not_go_together_is_refused(api: Client, body: Any, path: str) -> None:
    refused = await api.post("/v1/leads/bulk", body)

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == path


async def test_an_action_that_is_not_there_is_not_found(api: Client) -> None:
    one = f"/v1/bulk/{uuid4()}"

    assert (await api.get(one)).status == 404
    assert (await api.ask("PUT", f"{one}/cancellation")).status == 404
    assert (await api.post(f"{one}/undo")).status == 404
