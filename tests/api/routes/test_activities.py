from typing import Any
from uuid import UUID, uuid4

import pytest
from leadflood.engine.db.pool import Database

from tests.api.routes.test_leads import a_lead
from tests.support.api import Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg
HAPPENED = "2026-01-05T09:30:00Z"


@pytest.fixture
async def lead_id(api: Client, icp_id: str) -> str:
    return str((await api.post("/v1/leads", a_lead(icp_id))).json["leadId"])


async def told(api: Client, lead_id: str, **over: Any) -> Any:
    given = {"kind": "note", "text": "Likes trains.", **over}
    answer = await api.post(f"/v1/leads/{lead_id}/activities", given)
    assert answer.status == 201, answer.body
    return answer.json


async def test_activities_are_listed_newest_first_and_in_the_timeline(
    api: Client, lead_id: str
) -> None:
    call = await told(api, lead_id, kind="call", text="No answer.", happenedAt=HAPPENED)
    note = await told(api, lead_id)

    of_lead = (await api.get(f"/v1/leads/{lead_id}/activities")).json["data"]
    of_all = (await api.get(f"/v1/activities?leadId={lead_id}&limit=1")).json
    timeline = (await api.get(f"/v1/leads/{lead_id}/timeline")).json["data"]

    assert of_lead == [note, call]
    assert (call["happenedAt"], call["kind"], call["by"]) == (HAPPENED, "call", "operator")
    assert note["version"] == 1
    assert of_all["data"] == [note]
    assert of_all["pagination"]["nextCursor"]
    events = [one for one in timeline if one["type"] == "leads.activity.recorded"]
    assert [one["payload"]["activityId"] for one in events] == [note["id"], call["id"]]


async def test_activities_are_filtered(api: Client, lead_id: str) -> None:
    call = await told(api, lead_id, kind="call", happenedAt=HAPPENED)
    task = await told(api, lead_id, kind="task")
    path = f"/v1/activities?leadId={lead_id}"

    of_kind = (await api.get(f"{path}&kind=call")).json["data"]
    since = (await api.get(f"{path}&since=2026-01-05T10:00:00Z")).json["data"]
    of_nobody = (await api.get(f"{path}&actor=user:{uuid4()}")).json["data"]
    of_operator = (await api.get(f"{path}&actor=operator")).json["data"]

    assert (of_kind, since, of_nobody) == ([call], [task], [])
    assert of_operator == [task, call]


async def test_the_author_of_an_activity_may_correct_and_delete_it(
    api: Client, lead_id: str, node_database: Database
) -> None:
    note = await told(api, lead_id)
    path = f"/v1/activities/{note['id']}"

    changed = await api.ask("PATCH", path, {"text": "Likes ships."}, headers={"If-Match": '"1"'})
    late = await api.ask("PATCH", path, {"text": "No."}, headers={"If-Match": '"1"'})
    gone = await api.ask("DELETE", path)

    assert changed.status == 200
    assert (changed.json["text"], changed.json["version"]) == ("Likes ships.", 2)
    assert changed.json["happenedAt"] == note["happenedAt"]
    assert late.status == 412
    assert gone.status == 204
    assert (await api.ask("DELETE", path)).status == 404
    assert (await api.get(f"/v1/leads/{lead_id}/activities")).json["data"] == []
    rows = await node_database.fetch(
        sql("SELECT action FROM audit_event WHERE subject_id = $1 ORDER BY id", "id"),
        id=note["id"],
    )
    assert [row["action"] for row in rows] == ["activity.changed", "activity.deleted"]


async def test_nobody_but_the_author_may_change_an_activity(api: Client, lead_id: str) -> None:
    note = await told(api, lead_id)
    manager = await api.client_of("MANAGER")

    refused = await manager.ask("PATCH", f"/v1/activities/{note['id']}", {"text": "x"})
    own = await told(manager, lead_id, text="Mine.")

    assert (refused.status, refused.problem["code"]) == (403, "leads.activity.not_yours")
    assert own["by"] == f"user:{manager.user_id}"


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"kind": "dance", "text": "x"}, "kind"),
        ({"kind": "note", "text": ""}, "text"),
        ({"kind": "note"}, "text"),
        ({"kind": "note", "text": "x", "happenedAt": "2026-01-05"}, "happenedAt"),
    ],
)
async def test_what_cannot_be_an_activity_names_its_field(
    api: Client, lead_id: str, given: dict[str, Any], where: str
) -> None:
    refused = await api.post(f"/v1/leads/{lead_id}/activities", given)

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == where


async def test_an_activity_needs_its_lead(api: Client) -> None:
    nobody = UUID(int=1)

    posted = await api.post(f"/v1/leads/{nobody}/activities", {"kind": "note", "text": "x"})
    listed = await api.get(f"/v1/leads/{nobody}/activities")

    assert (posted.status, listed.status) == (404, 404)


async def test_a_creation_is_idempotent(api: Client, lead_id: str) -> None:
    given, key = {"kind": "note", "text": "once"}, {"Idempotency-Key": uuid4().hex}
    path = f"/v1/leads/{lead_id}/activities"

    first = await api.post(path, given, headers=key)
    again = await api.post(path, given, headers=key)

    assert first.json == again.json
    assert len((await api.get(path)).json["data"]) == 1


async def test_the_activities_of_hidden_leads_are_hidden(
    api: Client, lead_id: str, icp_id: str
) -> None:
    rep = await api.client_of("SALES_REP")
    await told(api, lead_id)
    mine = (await rep.post("/v1/leads", a_lead(icp_id))).json["leadId"]
    own = await told(rep, mine)
    await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"})

    try:
        listed = (await rep.get("/v1/activities?limit=200")).json["data"]
        of_other = await rep.get(f"/v1/leads/{lead_id}/activities")
        posted = await rep.post(f"/v1/leads/{lead_id}/activities", {"kind": "note", "text": "x"})
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})

    assert listed == [own]
    assert (of_other.status, posted.status) == (404, 404)
