"""Rights on fields, over the real edge: what a key may not ask for, though its route is open."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from leadflood.domain.auth.schemas.roles import Permission

from tests.support.api import Client
from tests.support.messaging import World

pytestmark = pytest.mark.pg
DENIED = "http.field.denied"
RULES = [{"kind": "WEIGHTED", "field": "title", "operator": "EXISTS", "value": True, "weight": 1.0}]
CSV = b"email,full_name\nada@rows.example,Ada Berg\n"


@pytest.fixture(scope="module")
async def manager(api: Client) -> Client:
    return await api.client_of("MANAGER")


@pytest.fixture(scope="module")
async def rep(api: Client) -> Client:
    return await api.client_of("SALES_REP")


def a_person(**more: Any) -> dict[str, Any]:
    return {"email": f"ada@{uuid4().hex}.example", "fullName": "Ada Berg", **more}


async def test_a_key_without_the_right_to_send_starts_no_run_that_sends(
    manager: Client, icp_id: UUID
) -> None:
    key = await manager.key_of("leads:write", "leads:read", "discovery:write")
    lead = (await key.post("/v1/leads", a_person(icpId=str(icp_id)))).json["leadId"]
    wishes: dict[str, Any] = {
        "/v1/leads": a_person(sends="go"),
        f"/v1/leads/{lead}/enrich": {"sends": "go"},
        "/v1/leads/bulk": {"action": "enrich", "ids": [lead], "sends": "go"},
        "/v1/discovery/runs": {"icpId": str(icp_id), "sends": "go"},
        f"/v1/icps/{icp_id}/search": {"sends": "go"},
    }

    for path, body in wishes.items():
        refused = await key.post(path, body)
        assert (refused.status, refused.problem["code"]) == (403, DENIED), path
        assert refused.problem["detail"] == "sends: go needs messages:send"


async def test_a_key_that_writes_icps_switches_no_autopilot_on_and_steers_none(
    manager: Client,
) -> None:
    key = await manager.key_of("icps:write", "icps:read")
    body = {"name": "n", "offer": "o", "target": {"titles": ["COO"]}}

    refused = await key.post("/v1/icps", {**body, "autopilot": "high"})
    created = await key.post("/v1/icps", body)
    flying = await manager.post("/v1/icps", {**body, "autopilot": "high"})
    steered = await key.ask("PUT", f"/v1/icps/{flying.json['profileId']}/rules", {"rules": RULES})
    shown = await key.get(f"/v1/icps/{flying.json['profileId']}")

    assert (refused.status, refused.problem["code"]) == (403, DENIED)
    assert (created.status, flying.status) == (201, 201)
    assert (steered.status, steered.problem["code"]) == (403, "icp.autopilot.denied")
    assert shown.json["version"] == 1


async def test_a_cap_above_the_settings_is_lowered_for_who_may_not_exceed_it(
    rep: Client, manager: Client, icp_id: UUID
) -> None:
    caps = []
    for caller, asked in ((rep, 10**15), (rep, 7), (manager, 10**15)):
        body = a_person(icpId=str(icp_id), capMicros=asked)
        run_id = (await caller.post("/v1/leads", body)).json["runId"]
        caps.append((await caller.get(f"/v1/runs/{run_id}")).json["capMicros"])

    assert caps == [5_000_000, 7, 10**15]


async def test_a_search_for_many_leads_needs_a_higher_role(rep: Client, icp_id: UUID) -> None:
    refused = await rep.post("/v1/discovery/runs", {"icpId": str(icp_id), "maxLeads": 1_001})

    assert (refused.status, refused.problem["code"]) == (403, DENIED)
    assert refused.problem["detail"].startswith("maxLeads: at most 1,000 for SALES_REP")


async def test_a_key_that_imports_updates_no_lead(manager: Client) -> None:
    key = await manager.key_of("leads:import")
    headers = {"Content-Type": "text/csv"}
    upload = await key.ask("POST", "/v1/imports", raw=CSV, headers=headers)
    path = f"/v1/imports/{upload.json['id']}"
    update = {"onDuplicate": "update", "enrich": False}

    refused = await key.ask("PUT", f"{path}/mapping", update)
    by_default = await key.ask("PUT", f"{path}/mapping", {"enrich": False})
    by_manager = await manager.ask("PUT", f"{path}/mapping", {"enrich": False})
    await manager.ask("PUT", f"{path}/mapping", update)
    of_another = await key.post(f"{path}/start")
    await key.ask("PUT", f"{path}/mapping", {"onDuplicate": "skip", "enrich": False})
    started = await key.post(f"{path}/start")

    assert {refused.status, of_another.status} == {403}
    assert [answer.json["mapping"]["onDuplicate"] for answer in (by_default, by_manager)] == [
        "skip",
        "update",
    ]
    assert started.status == 202


@pytest.mark.usefixtures("icp_id")
async def test_a_file_that_is_not_mapped_updates_no_lead_for_a_key_that_may_not(
    manager: Client,
) -> None:
    key = await manager.key_of("leads:import")
    headers = {"Content-Type": "text/csv"}
    upload = await key.ask("POST", "/v1/imports", raw=CSV + b"b@x.example,B\n", headers=headers)

    started = await key.post(f"/v1/imports/{upload.json['id']}/start")

    shown = await key.get(f"/v1/imports/{upload.json['id']}")
    assert started.status == 202
    assert shown.json["mapping"]["onDuplicate"] == "skip"


async def test_a_bulk_action_tells_a_key_that_reads_no_leads_nothing_of_them(
    manager: Client, icp_id: UUID
) -> None:
    key = await manager.key_of("leads:write")
    lead = (await key.post("/v1/leads", a_person(icpId=str(icp_id)))).json["leadId"]
    by_filter = {"action": "tag", "tag": "x", "filter": {"q": "berg"}}
    preview = {"action": "tag", "tag": "x", "ids": [lead], "preview": True}

    answers = [await key.post("/v1/leads/bulk", body) for body in (by_filter, preview)]

    assert {answer.problem["code"] for answer in answers} == {DENIED}


async def test_a_key_that_writes_users_is_no_administrator(api: Client) -> None:
    admin = await api.client_of("ADMIN")
    other = await api.client_of("ADMIN")
    viewer = await api.client_of("VIEWER")
    key = await admin.key_of("users:read", "users:write")
    users = "/v1/users"

    answers = [
        await key.post(users, {"email": "mallory@team.example", "role": "ADMIN"}),
        await key.post(users, {"email": "mallory@team.example", "role": "MANAGER"}),
        await key.post(f"{users}/{other.user_id}/password-reset", {}),
        await key.post(f"{users}/{viewer.user_id}/password-reset", {"removesTotp": True}),
        await key.post(f"{users}/{viewer.user_id}/password-reset", {}),
        await key.ask("PATCH", f"{users}/{viewer.user_id}", {"role": "ADMIN"}),
        await key.ask("PATCH", f"{users}/{other.user_id}", {"state": "disabled"}),
        await key.ask("DELETE", f"{users}/{other.user_id}"),
        await key.ask("DELETE", f"{users}/{other.user_id}/sessions"),
    ]

    assert [answer.status for answer in answers] == [403] * len(answers)
    assert (await other.get("/v1/auth/me")).status == 200


async def test_a_key_with_all_scopes_gives_every_role_but_administrator(api: Client) -> None:
    admin = await api.client_of("ADMIN")
    key = await admin.key_of(*(permission.value for permission in Permission))
    viewer = await api.client_of("VIEWER")
    invite = {"email": f"{uuid4().hex}@team.example"}

    refused = await key.post("/v1/users", {**invite, "role": "ADMIN"})
    removing = await key.post(f"/v1/users/{viewer.user_id}/password-reset", {"removesTotp": True})
    invited = await key.post("/v1/users", {**invite, "role": "MANAGER"})
    by_person = await admin.post("/v1/users", {"email": "next@team.example", "role": "ADMIN"})

    assert (refused.problem["code"], removing.problem["code"]) == (DENIED, DENIED)
    assert (invited.status, by_person.status) == (201, 201)


@pytest.mark.parametrize(
    ("kind", "value"), [("channel", "email"), ("domain", "de"), ("domain", "@Gmail.com")]
)
async def test_only_an_administrator_stops_a_channel_or_a_domain_of_strangers(
    api: Client, rep: Client, manager: Client, kind: str, value: str
) -> None:
    body = {"kind": kind, "value": value, "reason": "a mistake", "expectedCount": 10**9}
    unconfirmed = {"kind": kind, "value": value, "reason": "a mistake"}

    refused = [await caller.post("/v1/suppressions", body) for caller in (rep, manager)]
    refusal = await api.post("/v1/suppressions", unconfirmed)

    assert {answer.problem["code"] for answer in refused} == {DENIED}
    assert (refusal.status, refusal.problem["code"]) == (409, "suppression.unconfirmed")
    assert (await api.get(f"/v1/suppressions?kind={kind}&value={value}")).json["data"] == []


async def test_an_administrator_lifts_such_a_line_and_is_told_what_goes_after_all(
    api: Client,
) -> None:
    body = {"kind": "channel", "value": "sms", "reason": "a mistake", "expectedCount": 10**9}
    line = await api.post("/v1/suppressions", body)

    lifted = await api.ask("DELETE", f"/v1/suppressions/{line.json['id']}?restoreSends=true")

    assert (line.status, line.json["dueSendCount"]) == (201, 0)
    assert (lifted.status, lifted.json["restoredSendCount"]) == (200, 0)


async def test_a_key_that_writes_templates_or_approves_sends_nothing_without_the_right_to(
    manager: Client, world: World
) -> None:
    text = {"name": uuid4().hex, "channel": "email", "subject": "Hi", "body": "{{ offer }}"}
    lead = await world.lead(email=f"{uuid4()}@acme.example")
    run_id = await world.run("hold")
    await world.drafted([lead], run_id, await world.icp(autopilot=False))
    [message] = (await manager.get(f"/v1/messages?runId={run_id}")).json["data"]
    writer = await manager.key_of("templates:write", "messages:read")
    approver = await manager.key_of("messages:approve", "messages:read")

    written = await writer.post("/v1/templates", text)
    approved = await approver.ask("PUT", f"/v1/messages/{message['id']}/approval")

    assert (written.status, approved.status) == (403, 403)
    assert "messages:send" in written.problem["detail"]
    shown = (await manager.get(f"/v1/messages/{message['id']}")).json["message"]
    assert (shown["state"], shown["intentId"]) == ("waiting", None)


async def test_a_key_that_reads_messages_alone_sees_no_values_of_the_lead(
    manager: Client, world: World
) -> None:
    lead = await world.lead(email=f"{uuid4()}@acme.example")
    run_id = await world.run("hold")
    await world.drafted([lead], run_id, await world.icp(autopilot=False))
    key = await manager.key_of("messages:read")

    [listed] = (await key.get(f"/v1/messages?runId={run_id}")).json["data"]
    shown = (await key.get(f"/v1/messages/{listed['id']}")).json
    whole = (await manager.get(f"/v1/messages/{listed['id']}")).json

    assert "toAddress" not in {*listed, *shown["message"]}
    assert "facts" not in shown
    assert (whole["facts"], whole["message"]["toAddress"].endswith("@acme.example")) != ([], False)
