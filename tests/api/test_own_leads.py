"""In a team whose SALES_REPs see their own leads only: what another's is, is not there.

Every route about one lead, taken from the routing table, is asked about a lead of somebody else.
"""

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import anyio
import pytest
from leadflood.api.routes import list_routes
from leadflood.app import Node
from leadflood.contracts.ports.people import PeoplePage
from leadflood.domain.discovery.schemas import LeadDiscovered
from leadflood.domain.imports.rules.row_outcomes import FOREIGN_LEAD, NOT_READ
from leadflood.domain.imports.service import lead_writer
from leadflood.domain.leads.service.hidden_leads import MOST_A_DAY

from tests.api.routes.test_discovery_runs import a_person, commit_page
from tests.api.routes.test_leads import a_lead
from tests.api.test_access_matrix import REP, ROLES, ROUTES
from tests.support.api import Client

pytestmark = pytest.mark.pg
TEAM = "/v1/team"
ABOUT_A_LEAD = [
    route for route in list_routes()
    if "{leadId}" in route.path and REP in ROLES.get(ROUTES.get(route.name, ""), set())
]  # fmt: skip
BODIES: dict[str, Any] = {
    "PATCH /v1/leads/{leadId}": {"title": "CEO"},
    "PUT /v1/leads/{leadId}/owner": {"ownerId": None},
    "POST /v1/leads/{leadId}/merge": {"intoId": "{another}"},
    "POST /v1/leads/{leadId}/enrich": {},
    "POST /v1/leads/{leadId}/score": {},
    "POST /v1/leads/{leadId}/feedback": {"outcome": "won"},
    "POST /v1/leads/{leadId}/activities": {"kind": "note", "text": "hello"},
}


@pytest.fixture(scope="module")
async def reps(api: Client) -> AsyncIterator[tuple[Client, Client]]:
    """Two of them, while only own leads are seen."""
    first, second = await api.client_of(REP), await api.client_of(REP)
    before = (await api.get(TEAM)).json["salesRepSees"]
    assert (await api.ask("PATCH", TEAM, {"salesRepSees": "own"})).status == 200
    yield first, second
    assert (await api.ask("PATCH", TEAM, {"salesRepSees": before})).status == 200


async def a_lead_of(rep: Client, icp_id: str) -> str:
    made = await rep.post("/v1/leads", a_lead(icp_id))
    assert made.status == 201, made.body
    return str(made.json["leadId"])


@pytest.mark.parametrize("route", ABOUT_A_LEAD, ids=lambda route: route.name)
async def test_another_s_lead_is_not_there(
    reps: tuple[Client, Client], icp_id: str, route: Any
) -> None:
    owner, other = reps
    theirs, mine = await a_lead_of(owner, icp_id), await a_lead_of(other, icp_id)
    path = route.path.replace("{leadId}", theirs)
    for name in ("tag", "activityId"):
        path = path.replace("{" + name + "}", str(uuid4()))
    body = BODIES.get(route.name)
    if body is not None:
        body = {name: mine if value == "{another}" else value for name, value in body.items()}

    refused = await other.ask(route.method, path, body)

    assert refused.status == 404, refused.body
    assert (await owner.get(f"/v1/leads/{theirs}")).status == 200


async def test_lists_show_one_s_own(reps: tuple[Client, Client], icp_id: str) -> None:
    owner, other = reps
    theirs, mine = await a_lead_of(owner, icp_id), await a_lead_of(other, icp_id)

    listed = (await other.get("/v1/leads?limit=200")).json["data"]
    everything = (await other.get("/v1/events?limit=200")).body.decode()

    ids = {lead["id"] for lead in listed}
    assert mine in ids
    assert theirs not in ids
    assert theirs not in everything


async def test_a_refusal_names_no_lead_of_another(
    api: Client, reps: tuple[Client, Client], icp_id: str
) -> None:
    owner, other = reps
    given = a_lead(icp_id)
    theirs = (await owner.post("/v1/leads", given)).json["leadId"]
    mine = await a_lead_of(other, icp_id)

    again = await other.post("/v1/leads", given)
    moved = await other.ask("PATCH", f"/v1/leads/{mine}", {"email": given["email"]})
    of_all = await api.post("/v1/leads", given)
    deleted = await api.ask("DELETE", f"/v1/leads/{theirs}")
    once_more = await other.post("/v1/leads", given)

    assert again.problem["code"] == once_more.problem["code"] == "leads.lead.exists"
    assert moved.problem["code"] == "leads.key.taken"
    assert theirs not in f"{again.body!r}{moved.body!r}{once_more.body!r}"
    assert theirs in of_all.problem["detail"]
    assert deleted.status == 204


async def test_whether_two_leads_of_another_are_one_is_not_told(
    reps: tuple[Client, Client], icp_id: str
) -> None:
    owner, other = reps
    first, second = await a_lead_of(owner, icp_id), await a_lead_of(owner, icp_id)
    assert (await owner.post(f"/v1/leads/{second}/merge", {"intoId": first})).status == 200

    told = await owner.post(f"/v1/leads/{second}/merge", {"intoId": first})
    refused = await other.post(f"/v1/leads/{second}/merge", {"intoId": first})

    assert (told.status, refused.status) == (409, 404)


async def test_the_work_of_others_on_their_leads_is_not_seen_and_not_stopped(
    api: Client, reps: tuple[Client, Client], icp_id: str
) -> None:
    owner, other = reps
    theirs = await a_lead_of(owner, icp_id)
    body = {"action": "tag", "ids": [theirs], "tag": uuid4().hex}
    bulk_id = (await api.post("/v1/leads/bulk", body)).json["runId"]
    own_id = (await other.post("/v1/leads/bulk", body)).json["runId"]
    lead_id = (await owner.post(f"/v1/leads/{theirs}/score", {})).json["runId"]
    csv = {"Content-Type": "text/csv"}
    uploaded = await owner.post("/v1/imports?name=secret.csv", raw=b"email\na@b.co\n", headers=csv)
    import_id = uploaded.json["id"]
    started = await owner.post(f"/v1/imports/{import_id}/start")
    assert started.status == 202, started.body

    shown = await other.get("/v1/runs?limit=200")
    looked = [await other.get(f"/v1/runs/{one}") for one in (bulk_id, import_id, lead_id, own_id)]
    stopped = [
        await other.ask("PUT", f"/v1/{path}/{one}/cancellation")
        for path in ("runs", "discovery/runs")
        for one in (bulk_id, import_id, lead_id)
    ]

    assert {bulk_id, import_id, lead_id}.isdisjoint(run["id"] for run in shown.json["data"])
    assert own_id in {run["id"] for run in shown.json["data"]}
    assert "secret.csv" not in shown.body.decode()
    assert [one.status for one in looked] == [404, 404, 404, 200]
    assert [one.status for one in stopped] == [404] * 6
    assert (await owner.ask("PUT", f"/v1/runs/{import_id}/cancellation")).status == 200


async def test_pages_of_runs_are_full_and_their_cursors_name_no_hidden_run(
    reps: tuple[Client, Client], icp_id: str
) -> None:
    owner, other = reps
    own_ids = []
    for rep in (other, owner, other, owner):
        lead_id = await a_lead_of(rep, icp_id)
        started = await rep.post(f"/v1/leads/{lead_id}/score", {})
        own_ids += [started.json["runId"]] if rep is other else []

    first = (await other.get("/v1/runs?kind=lead&limit=1")).json
    cursor = first["pagination"]["nextCursor"]
    second = (await other.get(f"/v1/runs?kind=lead&limit=1&cursor={cursor}")).json

    assert first["data"][0]["id"] == own_ids[1]
    assert len(second["data"]) == 1
    assert UUID(own_ids[1]).bytes in base64.urlsafe_b64decode(cursor + "==")


@pytest.mark.parametrize("kind", ["action", "lead"])
async def test_nothing_of_another_s_run_is_seen(
    reps: tuple[Client, Client], icp_id: str, node: Node, kind: str
) -> None:
    """Neither its jobs nor its notification, events and progress; one's own all are."""
    owner, other = reps
    lead_id = await a_lead_of(owner, icp_id)
    body = {"action": "tag", "ids": [lead_id], "tag": uuid4().hex}
    path = "/v1/leads/bulk" if kind == "action" else f"/v1/leads/{lead_id}/score"
    action = (await owner.post(path, body if kind == "action" else {})).json
    run_id = action["runId"]
    with anyio.fail_after(10):
        while (await owner.get(f"/v1/runs/{run_id}")).json["state"] == "running":
            await anyio.lowlevel.checkpoint()
    is_notified = kind == "action"  # nobody is notified of the run of a single lead
    await node.life.notifier.poll(node.publisher)
    with anyio.move_on_after(10):  # the node's own look for events may hold those of this run
        while not await is_notified_of(owner, run_id) and is_notified:
            await node.life.notifier.poll(node.publisher)

    seen = [await of_run(rep, run_id, action["jobId"]) for rep in (owner, other)]
    progress = [await has_progress(rep, run_id) for rep in (owner, other)]

    assert seen == [(is_notified, True, True, 200), (False, False, False, 404)]
    assert progress == [True, False]


async def of_run(rep: Client, run_id: str, job_id: str) -> tuple[bool, bool, bool, int]:
    """Return whether notifications, events and jobs of a run are shown, and a job's status."""
    events = await all_events(rep, f"types=run.*&subject={run_id}")
    jobs = (await rep.get(f"/v1/jobs?runId={run_id}")).json["data"]
    return (
        await is_notified_of(rep, run_id),
        bool(events),
        bool(jobs),
        (await rep.get(f"/v1/jobs/{job_id}")).status,
    )


async def is_notified_of(rep: Client, run_id: str) -> bool:
    notifications = (await rep.get("/v1/notifications?limit=200")).json["data"]
    return run_id in {notification["subjectId"] for notification in notifications}


async def all_events(rep: Client, query: str) -> list[Any]:
    """Read the event log to its end: a page is read before it is filtered."""
    events: list[Any] = []
    cursor, following = "", None
    while cursor != following:
        cursor = following or ""
        page = (await rep.get(f"/v1/events?{query}&limit=200&cursor={cursor}")).json
        events += page["data"]
        following = page["pagination"]["nextCursor"]
    return events


async def has_progress(rep: Client, run_id: str) -> bool:
    """Whether a stream about a run shows its progress within two rounds of it."""
    path = f"{rep.address}/v1/events?runId={run_id}&types=run.progress"
    with anyio.move_on_after(2.5):
        async with rep.session.ws_connect(path, headers=rep.auth) as socket:
            await socket.receive()
            return True
    return False


async def test_a_rep_sees_the_companies_of_their_leads_and_changes_those_they_brought_in(
    reps: tuple[Client, Client], icp_id: str, api: Client
) -> None:
    owner, other = reps
    domain = f"{uuid4().hex}.example"
    lead = {**a_lead(icp_id), "email": f"ada@{domain}", "companyDomain": domain}
    await owner.post("/v1/leads", lead)
    [company] = (await owner.get(f"/v1/companies?domain={domain}")).json["data"]
    path = f"/v1/companies/{company['id']}"

    hidden = (await other.get(f"/v1/companies?domain={domain}")).json
    looks = [(await rep.get(path)).status for rep in reps]
    renames = [(await rep.ask("PATCH", path, {"name": "X"})).status for rep in reps]
    again = await other.post("/v1/companies", {"domain": domain})
    own = await other.post("/v1/companies", {"domain": f"own-{domain}"})
    renamed = await other.ask("PATCH", f"/v1/companies/{own.json['id']}", {"name": "Mine"})

    assert (hidden["data"], hidden["pagination"]["total"]) == ([], 0)
    assert looks == [200, 404]
    assert renames == [403, 404]
    assert again.status == 409
    assert (own.status, renamed.status, renamed.json["name"]) == (201, 200, "Mine")
    assert (await owner.get(f"/v1/companies/{own.json['id']}")).status == 404
    assert (await api.ask("PATCH", path, {"name": "Acme"})).status == 200


async def test_a_rep_who_tries_many_people_is_told_no_more_who_is_a_lead(
    reps: tuple[Client, Client], icp_id: str, api: Client
) -> None:
    prober = await api.client_of(REP)
    known = a_lead(icp_id)
    await reps[0].post("/v1/leads", known)

    answers = [await prober.post("/v1/leads", known) for _ in range(MOST_A_DAY + 1)]

    assert [answer.status for answer in answers] == [*[409] * MOST_A_DAY, 429]
    assert answers[-1].problem["code"] == "leads.hidden.too_many"


async def test_imports_tell_a_rep_of_few_hidden_leads_a_day_and_then_read_no_further(
    reps: tuple[Client, Client], icp_id: str, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead_writer, "MOST_HIDDEN_ROWS", 2)
    prober = await api.client_of(REP)
    hidden = [a_lead(icp_id)["email"] for _ in range(3)]
    for email in hidden:
        await reps[0].post("/v1/leads", {**a_lead(icp_id), "email": email})
    unknown = [f"{uuid4().hex}@new.example" for _ in range(4)]

    first = await imported(prober, [unknown[0], hidden[0], unknown[1], hidden[1], unknown[2]])
    second = await imported(prober, [unknown[3], hidden[2]])
    of_all = await imported(api, [*hidden, *unknown])

    assert first == [None, FOREIGN_LEAD, None, FOREIGN_LEAD, NOT_READ]
    assert second == [NOT_READ, NOT_READ]
    assert of_all == [None] * 7


async def imported(client: Client, emails: Sequence[str]) -> list[str | None]:
    """Import a file of addresses; return the reasons of its rows."""
    raw = "\n".join(["email", *emails]).encode()
    csv = {"Content-Type": "text/csv"}
    path = f"/v1/imports/{(await client.post('/v1/imports', raw=raw, headers=csv)).json['id']}"
    assert (await client.post(f"{path}/start")).status == 202
    with anyio.fail_after(10):
        while (await client.get(path)).json["state"] != "completed":
            await anyio.lowlevel.checkpoint()
    return [row["reason"] for row in (await client.get(f"{path}/rows")).json["data"]]


async def test_what_a_rep_s_own_search_finds_first_is_their_lead(
    api: Client, reps: tuple[Client, Client], icp_id: str, node: Node
) -> None:
    body = {"icpId": icp_id, "maxLeads": 2, "sends": "never", "providers": []}
    ids = [(await rep.post("/v1/discovery/runs", body)).json["runId"] for rep in (*reps, api)]

    for run_id in ids:
        await commit_page(
            node, UUID(run_id), PeoplePage(people=(a_person(run_id), a_person("all know")))
        )

    shown = [await leads_shown(reps[0], run_id) for run_id in ids]
    (own, known) = shown[0]
    assert own is not None
    assert known is not None
    assert shown[1:] == [[None, known]] * 2
    assert [(await rep.get(f"/v1/leads/{own}")).status for rep in (*reps, api)] == [200, 404, 200]


async def test_of_another_s_search_the_job_about_an_own_lead_is_shown_by_its_id(
    api: Client, reps: tuple[Client, Client], icp_id: str, node: Node
) -> None:
    owner, other = reps
    pause = "/v1/admin/stages/enrichment.run/pause"
    lead_id = await a_lead_of(other, icp_id)
    body = {"icpId": icp_id, "maxLeads": 4, "sends": "never", "again": True}
    run_id = UUID((await api.post("/v1/discovery/runs", body)).json["runId"])
    assert (await api.ask("PUT", pause, {})).status == 200

    async with node.publisher.transaction() as publication:
        events = [LeadDiscovered(UUID(lead_id), UUID(icp_id))]
        (job_id,) = await publication.publish(events, run_id=run_id)
    shown = [(await rep.get(f"/v1/jobs/{job_id}")).status for rep in (owner, other, api)]
    assert (await api.ask("DELETE", pause)).status == 200

    assert shown == [404, 200, 200]


async def leads_shown(rep: Client, run_id: str) -> list[str | None]:
    """Return the lead of each record of a search, None where it is hidden."""
    inspection = await rep.post(f"/v1/discovery/runs/{run_id}/inspect", {})
    return [
        record["leadId"] for record in inspection.json["records"] if record["status"] != "ERROR"
    ]


async def test_a_rep_stops_only_addresses_and_their_own_leads(
    reps: tuple[Client, Client], icp_id: str
) -> None:
    owner, other = reps
    lead_id = await a_lead_of(owner, icp_id)
    lines = [("lead", lead_id), ("domain", "acme.example"), ("address", "eve@acme.example")]

    answers = [
        await other.post("/v1/suppressions", {"kind": kind, "value": value, "reason": "asked"})
        for kind, value in lines
    ]
    own = await owner.post(
        "/v1/suppressions", {"kind": "lead", "value": lead_id, "reason": "asked"}
    )

    assert [answer.status for answer in answers] == [404, 403, 201]
    assert own.status == 201


def test_what_is_asked_is_all_there_is() -> None:
    assert len(ABOUT_A_LEAD) >= 10


async def test_a_shared_search_is_seen_and_not_stopped_nor_are_its_jobs_listed(
    reps: tuple[Client, Client], icp_id: str
) -> None:
    owner, other = reps
    body = {"icpId": icp_id, "again": True, "maxLeads": 3, "sends": "never"}
    started = (await owner.post("/v1/discovery/runs", body)).json
    run_id = started["runId"]
    paths = [f"/v1/{name}/{run_id}" for name in ("runs", "discovery/runs")]

    looked = [await other.get(path) for path in paths]
    stopped = [await other.ask("PUT", f"{path}/cancellation") for path in paths]
    lists = [
        {job["id"] for job in (await rep.get(f"/v1/jobs?runId={run_id}")).json["data"]}
        for rep in (other, owner)
    ]

    assert [answer.status for answer in looked] == [200, 200]
    assert [answer.problem["code"] for answer in stopped] == ["run.of_another"] * 2
    by_id = [(await rep.get(f"/v1/jobs/{started['jobId']}")).status for rep in (other, owner)]
    assert by_id == [404, 200]
    assert not lists[0]
    assert started["jobId"] in lists[1]
    assert (await owner.ask("PUT", f"{paths[1]}/cancellation")).json["isCancelled"]
