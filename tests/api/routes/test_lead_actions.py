from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from leadflood.app import Node
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.context import Deny
from leadflood.engine.db.pool import Database

from tests.api.routes.test_leads import a_lead, scored
from tests.support.api import Answer, Client
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
Made = Callable[..., Awaitable[Any]]


@pytest.fixture
def made(api: Client, icp_id: str) -> Made:
    """Bring a lead in and wait for its score."""

    async def make(**over: Any) -> Any:
        answer = await api.post("/v1/leads", a_lead(icp_id, **over))
        assert answer.status == 201
        return await scored(api, answer.json["leadId"])

    return make


async def shown(api: Client, lead_id: str) -> Any:
    return (await api.get(f"/v1/leads/{lead_id}")).json


async def events_of(database: Database, lead_id: str) -> list[Any]:
    rows = await database.fetch(
        sql("SELECT type, version FROM event WHERE subject = $1 ORDER BY id", "lead"),
        lead=UUID(lead_id),
    )
    return [(row["type"], row["version"]) for row in rows]


async def audited(database: Database, lead_id: str) -> list[str]:
    rows = await database.fetch(
        sql("SELECT action FROM audit_event WHERE subject_id = $1 ORDER BY id", "lead"),
        lead=lead_id,
    )
    return [row["action"] for row in rows]


async def test_a_person_s_word_wins_and_what_it_replaces_stays_in_the_history(
    api: Client, made: Made, node_database: Database
) -> None:
    lead = await made()

    changed = await api.ask("PATCH", f"/v1/leads/{lead['id']}", {"title": "Chief of Staff"})

    assert changed.status == 200
    assert changed.json["values"]["title"] == "Chief of Staff"
    assert changed.json["version"] == lead["version"] + 1
    assert changed.headers["ETag"].startswith(f'"{lead["version"] + 1}')
    told = [one for one in changed.json["provenance"] if one["field"] == "title"]
    assert [(one["source"], one["isCurrent"]) for one in told] == [("user", True), ("api", False)]
    happened = await events_of(node_database, lead["id"])
    assert ("leads.lead.updated", lead["version"] + 1) in happened


async def test_null_says_that_there_is_no_value_and_wins_too(api: Client, made: Made) -> None:
    lead = await made()

    changed = await api.ask("PATCH", f"/v1/leads/{lead['id']}", {"title": None, "city": "Bonn"})

    assert "title" not in changed.json["values"]
    assert changed.json["values"]["city"] == "Bonn"
    told = [one for one in changed.json["provenance"] if one["field"] == "title"]
    assert [(one["value"], one["isCurrent"]) for one in told] == [(None, True), ("COO", False)]


async def test_saying_it_again_changes_nothing(api: Client, made: Made) -> None:
    lead = await made()
    path = f"/v1/leads/{lead['id']}"
    first = await api.ask("PATCH", path, {"title": "CTO", "phone": None})

    again = await api.ask("PATCH", path, {"title": "CTO", "phone": None})
    nothing = await api.ask("PATCH", path, {})

    assert first.json["version"] == again.json["version"] == nothing.json["version"]


async def test_the_whole_name_follows_its_parts(api: Client, made: Made) -> None:
    lead = await made(firstName="Ann", lastName="Lee")

    changed = await api.ask("PATCH", f"/v1/leads/{lead['id']}", {"lastName": "Long"})

    assert changed.json["values"]["full_name"] == "Ann Long"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"email": "nobody"}, "email"),
        ({"companyDomain": "gmail.com"}, "companyDomain"),
        ({"country": "Atlantis"}, "country"),
        ({"title": "   "}, "title"),
        ({"title": ""}, "title"),
        ({"status": "enriched"}, "status"),
    ],
)
async def test_what_is_no_value_is_refused_by_its_name(
    api: Client, made: Made, body: Any, path: str
) -> None:
    lead = await made()

    refused = await api.ask("PATCH", f"/v1/leads/{lead['id']}", body)

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == path
    assert (await shown(api, lead["id"]))["version"] == lead["version"]


async def test_of_two_editors_exactly_one_wins(api: Client, made: Made) -> None:
    lead, answers = await made(), list[Answer]()
    headers = {"If-Match": f'"{lead["version"]}"'}

    async def edit(title: str) -> None:
        answers.append(
            await api.ask("PATCH", f"/v1/leads/{lead['id']}", {"title": title}, headers=headers)
        )

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(edit, f"Title {number}")

    assert sorted(answer.status for answer in answers) == [200] + [412] * 5
    (won,) = [answer.json for answer in answers if answer.status == 200]
    after = await shown(api, lead["id"])
    assert after["values"]["title"] == won["values"]["title"]
    assert after["version"] == lead["version"] + 1


async def test_an_address_of_somebody_else_is_a_conflict_that_names_him(
    api: Client, made: Made
) -> None:
    one, other = await made(), await made()

    refused = await api.ask(
        "PATCH", f"/v1/leads/{one['id']}", {"email": other["values"]["email"], "title": "X"}
    )

    assert refused.status == 409
    assert refused.problem["code"] == "leads.key.taken"
    assert other["id"] in refused.problem["detail"]
    assert (await shown(api, one["id"]))["values"] == one["values"]


async def test_keys_follow_a_corrected_address(api: Client, made: Made, icp_id: str) -> None:
    lead = await made()
    old, new = lead["values"]["email"], f"{uuid4().hex}@else{uuid4().hex[:6]}.example"

    await api.ask("PATCH", f"/v1/leads/{lead['id']}", {"email": new})

    assert (await api.post("/v1/leads", a_lead(icp_id, email=new))).status == 409
    assert (await api.post("/v1/leads", a_lead(icp_id, email=old, fullName="Bo"))).status == 201


async def test_who_works_nowhere_known_has_no_company(api: Client, made: Made) -> None:
    lead = await made()
    assert lead["companyId"] is not None

    changed = await api.ask("PATCH", f"/v1/leads/{lead['id']}", {"companyDomain": None})
    back = await api.ask("PATCH", f"/v1/leads/{lead['id']}", {"companyDomain": "neu.example"})

    assert changed.json["companyId"] is None
    assert back.json["companyId"] not in {None, lead["companyId"]}


async def test_a_deleted_lead_is_out_of_sight_until_it_is_restored(
    api: Client, made: Made, icp_id: str, node_database: Database
) -> None:
    lead = await made()
    path = f"/v1/leads/{lead['id']}"

    deleted = await api.ask("DELETE", path)

    assert (deleted.status, deleted.body) == (204, b"")
    assert (await api.get(path)).status == 404
    assert (await api.ask("DELETE", path)).status == 404
    assert (await api.ask("PATCH", path, {"title": "X"})).status == 404
    again = await api.post("/v1/leads", a_lead(icp_id, email=lead["values"]["email"]))
    assert again.problem["code"] == "leads.lead.deleted"
    restored = await api.ask("PUT", f"{path}/restoration")
    assert (restored.status, restored.json["deletedAt"]) == (200, None)
    after = await shown(api, lead["id"])
    assert (after["values"], after["keys"]) == (lead["values"], lead["keys"])
    assert await audited(node_database, lead["id"]) == ["lead.deleted", "lead.restored"]
    types = [kind for kind, _ in await events_of(node_database, lead["id"])]
    assert types[-2:] == ["leads.lead.deleted", "leads.lead.restored"]


async def test_deleted_leads_are_listed_last_deleted_first(api: Client, made: Made) -> None:
    first, second = await made(), await made()
    for lead in (first, second):
        await api.ask("DELETE", f"/v1/leads/{lead['id']}")

    page = (await api.get("/v1/deleted-leads?limit=1")).json
    cursor = page["pagination"]["nextCursor"]
    after = (await api.get(f"/v1/deleted-leads?limit=1&cursor={cursor}")).json

    assert [page["data"][0]["id"], after["data"][0]["id"]] == [second["id"], first["id"]]
    assert page["data"][0]["email"] == second["values"]["email"]
    by_number = (await api.get("/v1/deleted-leads?limit=1&page=2")).json
    assert by_number["data"] == after["data"]
    await api.ask("PUT", f"/v1/leads/{second['id']}/restoration")
    left = (await api.get("/v1/deleted-leads?limit=200")).json["data"]
    assert second["id"] not in {lead["id"] for lead in left}


async def test_nothing_is_done_for_a_deleted_lead(
    api: Client, made: Made, node: Node, icp_id: str, node_database: Database
) -> None:
    lead = await made()
    line = node.engine.runners["features.compute"]
    line.apply_pause(is_paused=True)
    try:
        started = await api.post(f"/v1/leads/{lead['id']}/score", {"icpId": icp_id})
        await api.ask("DELETE", f"/v1/leads/{lead['id']}")
    finally:
        line.apply_pause(is_paused=False)

    job = await api.wait_for_job(started.json["jobId"])

    assert job["state"] == "cancelled"
    letters = await node_database.fetch_value(
        sql("SELECT count(*) FROM dead_letter WHERE id = $1", "job"),
        job=UUID(started.json["jobId"]),
    )
    assert letters == 0


async def test_a_message_to_a_deleted_lead_is_neither_listed_nor_approved(
    api: Client, world: World
) -> None:
    run_id, icp_id = await world.run(), await world.icp(autopilot=False)
    lead_id = await world.lead(email=f"{uuid4().hex}@acme.example")
    await world.drafted([lead_id], run_id, icp_id)
    waiting = f"/v1/messages?state=waiting&runId={run_id}"
    (message,) = (await api.get(waiting)).json["data"]

    await api.ask("DELETE", f"/v1/leads/{lead_id}")

    assert (await api.get(waiting)).json["data"] == []
    approved = await api.ask("PUT", f"/v1/messages/{message['id']}/approval")
    assert approved.status == 409


async def test_what_was_approved_for_a_deleted_lead_is_never_sent(
    api: Client, world: World
) -> None:
    (event,) = await world.approved(email=f"{uuid4().hex}@acme.example")
    await world.release()
    job = await world.load_send(event)

    await api.ask("DELETE", f"/v1/leads/{event.lead_id}")

    (verdict,) = await world.authorize(job)
    assert isinstance(verdict, Deny)
    assert verdict.code == "lead.deleted"
    assert await world.state(event) == "cancelled"


async def test_tags_are_one_form_sorted_and_counted(api: Client, made: Made) -> None:
    lead, word = await made(), uuid4().hex[:8]
    path = f"/v1/leads/{lead['id']}/tags"

    await api.ask("PUT", f"{path}/Zebra%20%20{word}")
    tagged = await api.ask("PUT", f"{path}/ALPHA{word}")
    again = await api.ask("PUT", f"{path}/alpha{word}")

    assert tagged.json["tags"] == [f"alpha{word}", f"zebra {word}"]
    assert again.json["version"] == tagged.json["version"]
    assert (await shown(api, lead["id"]))["tags"] == tagged.json["tags"]
    counts = {one["tag"]: one["leadCount"] for one in (await api.get("/v1/tags")).json}
    assert counts[f"alpha{word}"] == 1
    gone = await api.ask("DELETE", f"{path}/alpha{word}")
    assert gone.json["tags"] == [f"zebra {word}"]
    assert f"alpha{word}" not in {one["tag"] for one in (await api.get("/v1/tags")).json}


async def test_a_lead_has_fifty_tags_and_no_more(
    api: Client, made: Made, node_database: Database
) -> None:
    lead = await made()
    await node_database.execute(
        sql("UPDATE lead SET tags = $2 WHERE id = $1", "lead", "tags"),
        lead=UUID(lead["id"]),
        tags=[f"t{number:02}" for number in range(50)],
    )

    more = await api.ask("PUT", f"/v1/leads/{lead['id']}/tags/another")
    long = await api.ask("PUT", f"/v1/leads/{lead['id']}/tags/{'x' * 41}")

    assert more.problem["code"] == "leads.tag.too_many"
    assert long.status == 422


async def test_an_owner_must_be_somebody(api: Client, made: Made) -> None:
    lead = await made()

    refused = await api.ask("PUT", f"/v1/leads/{lead['id']}/owner", {"ownerId": str(uuid4())})
    nobody = await api.ask("PUT", f"/v1/leads/{lead['id']}/owner", {"ownerId": None})

    assert refused.status == 422
    assert refused.problem["fields"][0]["path"] == "ownerId"
    assert (nobody.status, nobody.json["owner"]) == (200, None)


@pytest.mark.parametrize(("state", "status"), [("active", 200), ("disabled", 422)])
async def test_an_owner_must_be_active(
    api: Client, made: Made, node_database: Database, state: str, status: int
) -> None:
    lead, user_id = await made(), uuid4()
    await node_database.execute(
        sql(
            "INSERT INTO app_user (id, version, email, name, role, state, password_hash,"
            " created_at, updated_at) SELECT $1, 1, $2, 'Bo', 'SALES_REP', $3, 'x',"
            " created_at, created_at FROM lead WHERE id = $4",
            "id", "email", "state", "lead",
        ),
        id=user_id, email=f"{user_id}@ours.example", state=state, lead=UUID(lead["id"]),
    )  # fmt: skip

    given = await api.ask("PUT", f"/v1/leads/{lead['id']}/owner", {"ownerId": str(user_id)})

    assert given.status == status
    owner = str(user_id) if status == 200 else None
    assert (await shown(api, lead["id"]))["owner"] == owner


async def test_two_leads_are_merged_and_parted_by_a_person(
    api: Client, made: Made, node_database: Database
) -> None:
    older, younger = await made(), await made(email=f"{uuid4().hex}@b.example")

    merged = await api.post(f"/v1/leads/{older['id']}/merge", {"intoId": younger["id"]})

    assert merged.json == {"survivorId": older["id"], "mergedId": younger["id"]}
    assert (await shown(api, younger["id"]))["id"] == older["id"]
    same = await api.post(f"/v1/leads/{older['id']}/merge", {"intoId": younger["id"]})
    assert same.problem["code"] == "leads.merge.same"
    parted = await api.ask("DELETE", f"/v1/leads/{younger['id']}/merge")
    assert parted.status == 204
    assert (await shown(api, younger["id"]))["values"] == younger["values"]
    assert (await api.ask("DELETE", f"/v1/leads/{younger['id']}/merge")).status == 404
    assert await audited(node_database, younger["id"]) == ["lead.merged", "lead.unmerged"]


async def test_who_is_one_with_a_deleted_lead_is_deleted_and_restored_with_it(
    api: Client, made: Made, node_database: Database
) -> None:
    older, younger = await made(), await made()
    await api.post(f"/v1/leads/{younger['id']}/merge", {"intoId": older["id"]})

    await api.ask("DELETE", f"/v1/leads/{younger['id']}")

    deleted = sql("SELECT count(*) FROM lead WHERE id = ANY($1) AND deleted_at IS NOT NULL", "ids")
    ids = [UUID(older["id"]), UUID(younger["id"])]
    assert await node_database.fetch_value(deleted, ids=ids) == 2
    await api.ask("PUT", f"/v1/leads/{older['id']}/restoration")
    assert await node_database.fetch_value(deleted, ids=ids) == 0


async def test_a_lead_is_scored_anew_without_a_question_to_anybody(
    api: Client, made: Made, icp_id: str, node_database: Database
) -> None:
    lead = await made()
    await api.ask("PATCH", f"/v1/leads/{lead['id']}", {"title": "Gardener"})

    started = await api.post(f"/v1/leads/{lead['id']}/score", {"icpId": icp_id})

    assert started.status == 202
    with anyio.fail_after(10):
        while (after := await shown(api, lead["id"]))["score"]["runId"] != started.json["runId"]:
            await anyio.lowlevel.checkpoint()
    assert after["score"]["scoreMilli"] < lead["score"]["scoreMilli"]
    asked = await node_database.fetch_value(
        sql("SELECT count(*) FROM enrichment_record WHERE run_id = $1", "run"),
        run=UUID(started.json["runId"]),
    )
    assert asked == 0


async def test_more_is_asked_of_a_lead_that_is_there(
    api: Client, made: Made, icp_id: str, node_database: Database
) -> None:
    lead = await made()

    started = await api.post(
        f"/v1/leads/{lead['id']}/enrich", {"icpId": icp_id, "providers": [], "force": True}
    )

    assert started.status == 202
    job = await api.wait_for_job(started.json["jobId"])
    assert (job["stage"], job["state"]) == ("enrichment.run", "completed")
    asked = await node_database.fetch(
        sql("SELECT provider FROM enrichment_record WHERE run_id = $1", "run"),
        run=UUID(started.json["runId"]),
    )
    assert {row["provider"] for row in asked} == {"apollo"}


async def test_an_idempotency_key_starts_one_run(api: Client, made: Made, icp_id: str) -> None:
    lead, headers = await made(), {"Idempotency-Key": uuid4().hex}
    path = f"/v1/leads/{lead['id']}/score"

    first = await api.post(path, {"icpId": icp_id}, headers=headers)
    again = await api.post(path, {"icpId": icp_id}, headers=headers)

    assert first.json == again.json


async def test_a_corrected_lead_is_scored_anew_once_free_of_charge_and_without_a_draft(
    api: Client, made: Made, node_database: Database
) -> None:
    bands = {"high": 2, "medium": 1}
    body = {"name": uuid4().hex, "offer": "x", "target": {"titles": ["COO"]}, "bands": bands}
    icp_id = (await api.post("/v1/icps", body)).json["id"]
    lead = await made(title="Gardener", icpId=icp_id)
    path = f"/v1/leads/{lead['id']}"

    for _ in range(2):
        assert (await api.ask("PATCH", path, {"title": "COO"})).status == 200
    with anyio.fail_after(10):
        while (rescored := await shown(api, lead["id"]))["score"]["id"] == lead["score"]["id"]:
            await anyio.lowlevel.checkpoint()
    run_ids = await runs_of(node_database, lead["id"])
    run = (await api.get(f"/v1/runs/{run_ids[-1]}")).json

    assert rescored["score"]["score"] > lead["score"]["score"]
    assert (rescored["score"]["band"], rescored["score"]["icpId"]) == ("HIGH", icp_id)
    assert len(run_ids) == 2  # that of its creation, and that of the first correction
    assert (run["sends"], run["capMicros"], run["providers"]) == ("never", 0, [])
    with anyio.fail_after(10):
        while (await api.get(f"/v1/runs/{run_ids[-1]}")).json["state"] == "running":
            await anyio.lowlevel.checkpoint()
    assert (await api.get(f"/v1/messages?runId={run_ids[-1]}")).json["data"] == []


async def runs_of(database: Database, lead_id: str) -> list[UUID]:
    rows = await database.fetch(
        sql("SELECT DISTINCT run_id FROM event WHERE subject = $1 AND run_id IS NOT NULL", "lead"),
        lead=UUID(lead_id),
    )
    return sorted(row["run_id"] for row in rows)


async def test_a_lead_whose_score_is_on_its_way_is_scored_for_what_was_corrected_meanwhile(
    api: Client, made: Made, icp_id: str, node_database: Database
) -> None:
    paused = "/v1/admin/stages/scoring.compute/pause"
    before = await made(title="Gardener")
    assert (await api.ask("PUT", paused, {})).status == 200
    created = (await api.post("/v1/leads", a_lead(icp_id, title="Gardener"))).json
    path = f"/v1/leads/{created['leadId']}"
    with anyio.fail_after(10):
        while "scoring.compute" not in await live_stages(api, created["runId"]):
            await anyio.lowlevel.checkpoint()

    changed = await api.ask("PATCH", path, {"title": "COO"})
    assert (await api.ask("DELETE", paused)).status == 200

    assert changed.status == 200
    with anyio.fail_after(10):
        while len(scores := await scores_of(node_database, created["leadId"])) < 2:
            await REAL_TIME.sleep(0.05)
    score = (await shown(api, created["leadId"]))["score"]["score"]
    assert score == max(scores) > before["score"]["score"]
    assert len(await runs_of(node_database, created["leadId"])) == 2


async def scores_of(database: Database, lead_id: str) -> list[float]:
    rows = await database.fetch(
        sql("SELECT score_milli FROM score_prediction WHERE lead_id = $1", "lead"),
        lead=UUID(lead_id),
    )
    return [row["score_milli"] / 1_000 for row in rows]


async def live_stages(api: Client, run_id: str) -> list[str]:
    return list((await api.get(f"/v1/runs/{run_id}")).json["liveJobs"])
