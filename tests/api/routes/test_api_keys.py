"""API keys: shown once, never more than their owner's role allows now."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from leadflood.domain.auth.schemas.roles import Role
from leadflood.engine.db.pool import Database

from tests.support.accounts import let_proof_age
from tests.support.api import PASSWORD, Client
from tests.support.notifications import next_notification

pytestmark = pytest.mark.pg


async def test_a_key_may_do_what_its_scopes_allow_and_nothing_else(api: Client) -> None:
    rep = await api.client_of(Role.SALES_REP)

    created = await rep.post("/v1/api-keys", {"name": "crm", "scopes": ["leads:read", "self"]})
    key = rep.holding(created.json["secret"])

    assert created.status == 201
    assert created.json["secret"].startswith(f"lf_{created.json['key']['id'].replace('-', '')}_")
    assert (await key.get("/v1/leads")).status == 200
    assert (await key.get("/v1/icps")).status == 403
    me = (await key.get("/v1/auth/me")).json
    assert (me["kind"], me["permissions"]) == ("key", ["leads:read", "self"])


async def test_a_key_loses_what_its_owner_s_role_loses(api: Client) -> None:
    manager = await api.client_of(Role.MANAGER)
    created = await manager.post("/v1/api-keys", {"name": "k", "scopes": ["users:read"]})
    key = manager.holding(created.json["secret"])
    assert (await key.get("/v1/users")).status == 200

    await api.ask("PATCH", f"/v1/users/{manager.user_id}", {"role": "VIEWER"})

    assert (await key.get("/v1/users")).status == 403


async def test_a_key_cannot_be_given_more_than_its_maker_may_do(api: Client) -> None:
    viewer = await api.client_of(Role.VIEWER)
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat()  # noqa: TID251 - of the machine

    beyond = await viewer.post("/v1/api-keys", {"name": "k", "scopes": ["users:write"]})
    expired = await viewer.post(
        "/v1/api-keys", {"name": "k", "scopes": ["leads:read"], "expiresAt": past}
    )
    endless = await viewer.post(
        "/v1/api-keys", {"name": "k", "scopes": ["leads:read"], "expiresAt": "2999-01-01T00:00:00Z"}
    )
    unknown = await viewer.post("/v1/api-keys", {"name": "k", "scopes": ["everything"]})

    assert beyond.problem["fields"][0]["path"] == "scopes"
    assert expired.problem["fields"][0]["path"] == "expiresAt"
    assert endless.problem["fields"][0]["path"] == "expiresAt"
    assert unknown.status == 422


async def test_a_key_cannot_make_keys_or_change_who_may_log_in(api: Client) -> None:
    admin = await api.client_of(Role.ADMIN)
    created = await admin.post("/v1/api-keys", {"name": "k", "scopes": ["self", "leads:read"]})
    key = admin.holding(created.json["secret"])
    body = {"name": "k2", "scopes": ["self"]}
    change = {"oldPassword": "x" * 12, "newPassword": "y" * 12, "endsKeys": True}

    for refused in (
        await key.post("/v1/api-keys", body),
        await api.post("/v1/api-keys", body),
        await key.post("/v1/auth/totp"),
        await key.ask("PUT", "/v1/auth/password", change),
        await key.get("/v1/auth/sessions"),
    ):
        assert (refused.status, refused.problem["code"]) == (403, "auth.session.needed")


async def test_a_revoked_key_is_over_at_once_and_its_owner_alone_ends_it(api: Client) -> None:
    owner, stranger = await api.client_of(Role.VIEWER), await api.client_of(Role.VIEWER)
    created = (await owner.post("/v1/api-keys", {"name": "k", "scopes": ["leads:read"]})).json
    key, path = owner.holding(created["secret"]), f"/v1/api-keys/{created['key']['id']}"
    assert (await key.get("/v1/leads")).status == 200

    foreign = await stranger.ask("DELETE", path)
    revoked = await owner.ask("DELETE", path)

    assert (foreign.status, revoked.status) == (404, 200)
    assert (await key.get("/v1/leads")).status == 401
    assert (await owner.ask("DELETE", path)).status == 404


async def test_a_user_lists_their_own_keys_and_an_administrator_all(api: Client) -> None:
    owner, admin = await api.client_of(Role.VIEWER), await api.client_of(Role.ADMIN)
    created = (await owner.post("/v1/api-keys", {"name": "k", "scopes": ["leads:read"]})).json
    await owner.holding(created["secret"]).get("/v1/leads")

    own = (await owner.get("/v1/api-keys")).json["data"]
    listed = (await admin.get("/v1/api-keys?limit=200")).json["data"]

    assert [key["id"] for key in own] == [created["key"]["id"]]
    assert own[0]["lastUsedAt"] is not None
    assert created["key"]["id"] in {key["id"] for key in listed}
    assert created["secret"] not in str(listed)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1],
        lambda key: key + "0",
        lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"),
        lambda key: key.upper(),
        lambda key: f"lf_{uuid4().hex}{key[35:]}",
        lambda key: key.replace("lf_", "lf-"),
    ],
    ids=["cut", "longer", "another end", "upper case", "another id", "another form"],
)
async def test_an_almost_valid_key_is_refused(api: Client, spoil: object) -> None:
    assert callable(spoil)
    user = await api.client_of(Role.VIEWER)
    created = (await user.post("/v1/api-keys", {"name": "k", "scopes": ["leads:read"]})).json

    assert (await user.holding(spoil(created["secret"])).get("/v1/leads")).status == 401


async def test_a_key_made_once_is_shown_again_to_the_same_request(
    api: Client,
) -> None:
    user = await api.client_of(Role.VIEWER)
    body, headers = {"name": "k", "scopes": ["leads:read"]}, {"Idempotency-Key": user.user_id}

    first = await user.post("/v1/api-keys", body, headers=headers)
    again = await user.post("/v1/api-keys", body, headers=headers)

    assert first.body == again.body
    assert len((await user.get("/v1/api-keys")).json["data"]) == 1


async def test_a_key_without_icps_read_sees_no_icp_by_its_preview(api: Client, icp_id: str) -> None:
    manager = await api.client_of(Role.MANAGER)
    path, secrets = f"/v1/icps/{icp_id}/preview", []
    for scopes in (["leads:read"], ["leads:read", "icps:read"]):
        created = await manager.post("/v1/api-keys", {"name": "k", "scopes": scopes})
        secrets.append(created.json["secret"])

    answers = [await manager.holding(secret).post(path) for secret in secrets]

    assert [answer.status for answer in answers] == [403, 200]


async def test_a_key_ends_after_ninety_days_and_its_owner_is_notified(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)

    key = (await user.post("/v1/api-keys", {"name": "crm", "scopes": ["leads:read"]})).json["key"]

    lifetime = datetime.fromisoformat(key["expiresAt"]) - datetime.fromisoformat(key["createdAt"])
    assert lifetime == timedelta(days=90)
    notification = await next_notification(user, "api_key.created")
    assert notification["forMe"]
    assert notification["subjectId"] == key["id"]
    assert "crm" in notification["title"]


async def test_a_stolen_token_makes_no_key_without_a_fresh_proof(
    api: Client, node_database: Database
) -> None:
    user = await api.client_of(Role.VIEWER)
    body = {"name": "k", "scopes": ["leads:read"]}
    await let_proof_age(node_database, user)

    refused = await user.post("/v1/api-keys", body)
    guessed = await user.post("/v1/auth/proof", {"password": "not this one"})
    still = await user.post("/v1/api-keys", body)
    proved = await user.post("/v1/auth/proof", {"password": PASSWORD})
    created = await user.post("/v1/api-keys", body)

    assert (refused.status, refused.problem["code"]) == (403, "auth.proof.needed")
    assert "/v1/auth/proof" in refused.problem["detail"]
    assert (guessed.status, still.status) == (403, 403)
    assert (proved.status, created.status) == (200, 201)
    await let_proof_age(node_database, user)
    assert (await user.post("/v1/api-keys", body)).status == 403


async def test_a_renewed_session_has_no_fresh_proof_by_it(
    api: Client, node_database: Database
) -> None:
    user = await api.client_of(Role.VIEWER)
    await let_proof_age(node_database, user)

    renewed = await user.post("/v1/auth/refresh", {"refreshToken": user.refresh_token})
    thief = user.holding(renewed.json["accessToken"])

    assert (await thief.post("/v1/api-keys", {"name": "k", "scopes": ["self"]})).status == 403
