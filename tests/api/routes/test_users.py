"""The people of the team: invited, changed, disabled; the team's settings."""

from typing import Any
from uuid import uuid4

import anyio
import pytest
from leadflood.domain.auth.schemas.roles import Role
from leadflood.engine.db.pool import Database

from tests.support.accounts import let_proof_age
from tests.support.api import PASSWORD, Answer, Client

pytestmark = pytest.mark.pg


async def user_of(api: Client, client: Client) -> Any:
    return (await api.get(f"/v1/users/{client.user_id}")).json


async def test_people_are_found_by_role_state_and_text(api: Client) -> None:
    analyst = await api.client_of(Role.ANALYST, email=f"{uuid4().hex}@find.example")

    listed = (await api.get("/v1/users?role=ANALYST&state=active&q=FIND.example")).json["data"]
    none = (await api.get("/v1/users?role=VIEWER&q=find.example")).json["data"]

    assert [user["id"] for user in listed] == [analyst.user_id]
    assert none == []
    assert not {"passwordHash", "totpSecret"} & set(listed[0])


async def test_pages_of_people_follow_one_another(api: Client) -> None:
    for _ in range(3):
        await api.post("/v1/users", {"email": f"{uuid4().hex}@pages.example", "role": "VIEWER"})

    first = (await api.get("/v1/users?q=@pages.example&limit=2")).json
    cursor = first["pagination"]["nextCursor"]
    second = (await api.get(f"/v1/users?q=@pages.example&limit=2&cursor={cursor}")).json

    assert [len(page["data"]) for page in (first, second)] == [2, 1]


async def test_an_address_is_invited_once_whatever_its_case(api: Client) -> None:
    body = {"email": "Once@Team.example", "role": "VIEWER"}

    first = await api.post("/v1/users", body)
    second = await api.post("/v1/users", {**body, "email": " once@team.EXAMPLE"})
    none = await api.post("/v1/users", {**body, "email": "once at team"})

    assert (first.status, first.json["user"]["email"]) == (201, "once@team.example")
    assert (second.status, second.problem["code"]) == (409, "user.email.taken")
    assert (none.status, none.problem["fields"][0]["path"]) == (422, "email")


async def test_a_changed_role_holds_at_the_next_request(api: Client) -> None:
    user = await api.client_of(Role.MANAGER)
    assert (await user.get("/v1/users")).status == 200

    await api.ask("PATCH", f"/v1/users/{user.user_id}", {"role": "VIEWER"})

    assert (await user.get("/v1/users")).status == 403


async def test_a_disabled_user_is_out_at_once_and_comes_back_with_their_password(
    api: Client,
) -> None:
    user = await api.client_of(Role.SALES_REP)
    email = (await user_of(api, user))["email"]
    created = await user.post("/v1/api-keys", {"name": "k", "scopes": ["leads:read"]})
    key = user.holding(created.json["secret"])
    assert (await key.get("/v1/leads")).status == 200

    disabled = await api.ask("DELETE", f"/v1/users/{user.user_id}")
    out = [(await user.get("/v1/auth/me")).status, (await key.get("/v1/leads")).status]
    refused = await api.post("/v1/auth/login", {"email": email, "password": PASSWORD})
    back = await api.ask("PATCH", f"/v1/users/{user.user_id}", {"state": "active"})

    assert disabled.json["state"] == "disabled"
    assert out == [401, 401]
    assert refused.problem["code"] == "auth.login.refused"
    assert back.json["state"] == "active"
    assert (await api.log_in(email)).user_id == user.user_id
    assert (await key.get("/v1/leads")).status == 401


async def test_a_change_based_on_an_old_version_is_refused(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)
    path = f"/v1/users/{user.user_id}"
    tag = {"If-Match": (await api.get(path)).headers["ETag"]}

    first = await api.ask("PATCH", path, {"name": "A"}, headers=tag)
    second = await api.ask("PATCH", path, {"name": "B"}, headers=tag)

    assert (first.status, second.status) == (200, 412)
    assert (await user_of(api, user))["name"] == "A"


async def test_two_administrators_who_demote_each_other_leave_one(api: Client) -> None:
    admins = [await api.client_of(Role.ADMIN), await api.client_of(Role.ADMIN)]
    other_admins = (await api.get("/v1/users?role=ADMIN&state=active&limit=200")).json["data"]
    ours = {admin.user_id for admin in admins}
    for admin in other_admins:
        if admin["id"] not in ours:
            await api.ask("PATCH", f"/v1/users/{admin['id']}", {"role": "VIEWER"})
    answers: list[Answer] = []

    async def demote(by: Client, whom: Client) -> None:
        path = f"/v1/users/{whom.user_id}"
        answers.append(await by.ask("PATCH", path, {"role": "VIEWER"}))

    async with anyio.create_task_group() as group:
        group.start_soon(demote, admins[0], admins[1])
        group.start_soon(demote, admins[1], admins[0])

    assert sorted(answer.status for answer in answers) in ([200, 403], [200, 409])
    remaining = (await api.get("/v1/users?role=ADMIN&state=active")).json["data"]
    assert len(remaining) == 1
    path = f"/v1/users/{remaining[0]['id']}"
    for refused in (
        await api.ask("PATCH", path, {"role": "MANAGER"}),
        await api.ask("PATCH", path, {"state": "disabled"}),
        await api.ask("DELETE", path),
    ):
        assert (refused.status, refused.problem["code"]) == (409, "user.last_admin")


async def test_a_link_is_made_only_for_a_user_who_can_use_it(api: Client) -> None:
    active = await api.client_of(Role.VIEWER)
    body = {"email": f"{uuid4().hex}@team.example", "role": "VIEWER"}
    invited = (await api.post("/v1/users", body)).json["user"]["id"]

    again = await api.post(f"/v1/users/{active.user_id}/invitation")
    early = await api.post(f"/v1/users/{invited}/password-reset", {})
    unknown = await api.post(f"/v1/users/{uuid4()}/invitation")

    assert (again.status, early.status, unknown.status) == (409, 409, 404)
    assert again.problem["code"] == "user.state.other"


async def test_an_administrator_ends_somebody_s_sessions(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)

    revoked = await api.ask("DELETE", f"/v1/users/{user.user_id}/sessions")

    assert revoked.json == {"sessions": 1, "keys": 0, "livingKeys": []}
    assert (await user.get("/v1/auth/me")).status == 401


async def test_a_rotated_signing_key_leaves_tokens_valid_and_signs_new_ones(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)

    rotated = await api.post("/v1/admin/signing-keys")
    later = await api.client_of(Role.VIEWER)

    assert rotated.status == 201
    assert (await user.get("/v1/auth/me")).status == 200
    assert (await later.get("/v1/auth/me")).status == 200
    heads = {client.credential.partition(".")[0] for client in (user, later)}
    assert len(heads) == 2


async def test_a_sales_rep_sees_what_the_team_setting_says(api: Client) -> None:
    rep = await api.client_of(Role.SALES_REP)
    tag = {"If-Match": (await api.get("/v1/team")).headers["ETag"]}
    try:
        own = await api.ask("PATCH", "/v1/team", {"salesRepSees": "own"}, headers=tag)
        sees_owner_id = (await rep.get("/v1/auth/me")).json["seesOwner"]
        stale = await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"}, headers=tag)
    finally:
        await api.ask("PATCH", "/v1/team", {"salesRepSees": "all"})

    assert own.json["salesRepSees"] == "own"
    assert sees_owner_id == rep.user_id
    assert stale.status == 412
    assert (await rep.get("/v1/auth/me")).json["seesOwner"] is None


async def test_a_stolen_token_of_an_administrator_lets_nobody_in_without_a_fresh_proof(
    api: Client, node_database: Database
) -> None:
    admin, user = await api.client_of(Role.ADMIN), await api.client_of(Role.VIEWER)
    invitation = {"email": f"{uuid4().hex}@team.example", "role": "ADMIN"}
    invited = (await api.post("/v1/users", {**invitation, "email": "later@team.example"})).json
    acts: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", "/v1/users", invitation),
        ("POST", f"/v1/users/{invited['user']['id']}/invitation", {}),
        ("POST", f"/v1/users/{user.user_id}/password-reset", {}),
        ("PATCH", f"/v1/users/{user.user_id}", {"role": "ADMIN"}),
        ("DELETE", f"/v1/users/{user.user_id}/sessions", None),
        ("PATCH", f"/v1/users/{user.user_id}", {"state": "disabled"}),
        ("DELETE", f"/v1/users/{user.user_id}", None),
        ("PATCH", "/v1/team", {"salesRepSees": "all"}),
        ("POST", "/v1/admin/signing-keys", {}),
    ]
    await let_proof_age(node_database, admin)

    refused = [await admin.ask(method, path, body) for method, path, body in acts]
    renamed = await admin.ask("PATCH", f"/v1/users/{user.user_id}", {"name": "Vi"})
    await admin.post("/v1/auth/proof", {"password": PASSWORD})
    done = [await admin.ask(method, path, body) for method, path, body in acts]

    assert {answer.problem["code"] for answer in refused} == {"auth.proof.needed"}
    assert renamed.status == 200
    assert [answer.status for answer in done] == [201, 201, 201, 200, 200, 200, 200, 200, 201]
