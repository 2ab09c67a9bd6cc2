"""The second factor, one's own password and sessions."""

from uuid import uuid4

import pyotp
import pytest
from leadflood.domain.auth.schemas.roles import Role
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database

from tests.support.accounts import let_proof_age
from tests.support.api import PASSWORD, Client
from tests.support.notifications import next_notification

pytestmark = pytest.mark.pg
NEXT = "another pass phrase"


async def email_of(user: Client) -> str:
    return str((await user.get("/v1/auth/me")).json["user"]["email"])


async def enrolled(user: Client) -> tuple[pyotp.TOTP, list[str]]:
    """Enroll a second factor; gives the app and the recovery codes."""
    secret = (await user.post("/v1/auth/totp")).json["secret"]
    app = pyotp.TOTP(secret)
    confirmed = await user.post("/v1/auth/totp/verification", {"code": app.now()})
    assert confirmed.status == 200, confirmed.body
    return app, confirmed.json["recoveryCodes"]


async def test_a_second_factor_is_asked_for_once_it_is_confirmed(api: Client) -> None:
    user = await api.client_of(Role.MANAGER)
    body = {"email": await email_of(user), "password": PASSWORD}
    enrollment = (await user.post("/v1/auth/totp")).json
    before = await api.post("/v1/auth/login", body)
    app = pyotp.TOTP(enrollment["secret"])
    code = app.now()

    wrong = await user.post("/v1/auth/totp/verification", {"code": "000000"})
    confirmed = await user.post("/v1/auth/totp/verification", {"code": code})
    without = await api.post("/v1/auth/login", body)
    replayed = await api.post("/v1/auth/login", {**body, "code": code})

    assert enrollment["uri"].startswith("otpauth://totp/leadflood:")
    assert before.status == 200
    assert (wrong.status, wrong.problem["code"]) == (403, "auth.proof.wrong")
    assert len(confirmed.json["recoveryCodes"]) == 10
    assert (without.status, without.problem["code"]) == (401, "auth.totp.required")
    assert (replayed.status, replayed.problem["code"]) == (401, "auth.login.refused")


async def test_a_code_of_the_app_works_once(api: Client) -> None:
    user = await api.client_of(Role.MANAGER)
    email = await email_of(user)
    app, _ = await enrolled(user)
    code = app.at(int(SystemClock().now().timestamp()) + 30)

    first = await api.post("/v1/auth/login", {"email": email, "password": PASSWORD, "code": code})
    second = await api.post("/v1/auth/login", {"email": email, "password": PASSWORD, "code": code})

    assert (first.status, second.status) == (200, 401)


async def test_a_retried_login_with_a_code_gets_the_same_answer(api: Client) -> None:
    user = await api.client_of(Role.MANAGER)
    _, codes = await enrolled(user)
    body = {"email": await email_of(user), "password": PASSWORD, "code": codes[0]}
    headers = {"Idempotency-Key": uuid4().hex}

    first = await api.post("/v1/auth/login", body, headers=headers)
    again = await api.post("/v1/auth/login", body, headers=headers)
    third = await api.post("/v1/auth/login", {**body, "code": codes[1]}, headers=headers)

    assert (first.status, again.status, third.status) == (200, 200, 200)
    assert first.body == again.body
    assert third.json["sessionId"] != first.json["sessionId"]


async def test_a_recovery_code_works_once_and_new_ones_void_the_former(api: Client) -> None:
    user = await api.client_of(Role.MANAGER)
    body = {"email": await email_of(user), "password": PASSWORD}
    _, codes = await enrolled(user)

    first = await api.post("/v1/auth/login", {**body, "code": codes[0].upper()})
    second = await api.post("/v1/auth/login", {**body, "code": codes[0]})
    renewed = await user.post("/v1/auth/recovery-codes", {"code": codes[2]})
    former = await api.post("/v1/auth/login", {**body, "code": codes[1]})
    fresh = renewed.json["recoveryCodes"][0]
    latest = await api.post("/v1/auth/login", {**body, "code": fresh})

    assert (first.status, second.status) == (200, 401)
    assert renewed.status == 201
    assert (former.status, latest.status) == (401, 200)


async def test_a_password_alone_proves_nothing_while_a_second_factor_is_in_force(
    api: Client, node_database: Database
) -> None:
    user = await api.client_of(Role.MANAGER)
    _, codes = await enrolled(user)
    await let_proof_age(node_database, user)

    renewed = await user.post("/v1/auth/recovery-codes", {"password": PASSWORD})
    proved = await user.post("/v1/auth/proof", {"password": PASSWORD})
    by_code = await user.post("/v1/auth/recovery-codes", {"password": PASSWORD, "code": codes[0]})

    assert [(answer.status, answer.problem["code"]) for answer in (renewed, proved)] == [
        (403, "auth.proof.wrong")
    ] * 2
    assert "second factor" in renewed.problem["detail"]
    assert by_code.status == 201


async def test_the_owner_is_notified_of_new_recovery_codes_and_of_a_factor_taken_away(
    api: Client,
) -> None:
    user = await api.client_of(Role.VIEWER)
    _, codes = await enrolled(user)

    renewed = await user.post("/v1/auth/recovery-codes", {"code": codes[0]})
    await user.ask("DELETE", "/v1/auth/totp", {"code": renewed.json["recoveryCodes"][0]})

    for kind in ("recovery_codes.renewed", "totp.removed"):
        notification = await next_notification(user, kind)
        assert notification["forMe"], kind
        assert notification["subjectId"] == user.user_id


async def test_a_second_factor_is_removed_by_a_code_of_it_only(api: Client) -> None:
    user = await api.client_of(Role.MANAGER)
    _, codes = await enrolled(user)

    wrong = await user.ask("DELETE", "/v1/auth/totp", {"code": "000000"})
    nothing = await user.ask("DELETE", "/v1/auth/totp", {"password": PASSWORD})
    again = await user.post("/v1/auth/totp")
    removed = await user.ask("DELETE", "/v1/auth/totp", {"code": codes[0]})

    assert (wrong.status, nothing.status) == (403, 422)
    assert (again.status, again.problem["code"]) == (409, "auth.totp.in_force")
    assert removed.json["hasTotp"] is False


async def test_a_reset_may_take_a_lost_second_factor_away(api: Client) -> None:
    user = await api.client_of(Role.MANAGER)
    email = await email_of(user)
    await enrolled(user)

    created = await api.post(f"/v1/users/{user.user_id}/password-reset", {"removesTotp": True})
    await api.post("/v1/auth/register", {"token": created.json["token"], "password": NEXT})

    assert (await api.log_in(email, NEXT)).credential


async def test_a_password_is_changed_by_the_old_one_and_ends_all_other_sessions(
    api: Client,
) -> None:
    user = await api.client_of(Role.VIEWER)
    email = await email_of(user)
    second = await api.log_in(email)

    wrong = await user.ask(
        "PUT",
        "/v1/auth/password",
        {"oldPassword": "not this one", "newPassword": NEXT, "endsKeys": True},
    )
    weak = await user.ask(
        "PUT",
        "/v1/auth/password",
        {"oldPassword": PASSWORD, "newPassword": "short", "endsKeys": True},
    )
    changed = await user.ask(
        "PUT", "/v1/auth/password", {"oldPassword": PASSWORD, "newPassword": NEXT, "endsKeys": True}
    )

    assert (wrong.status, wrong.problem["code"]) == (403, "auth.password.wrong")
    assert (weak.status, weak.problem["code"]) == (422, "auth.password.refused")
    assert changed.status == 200
    assert (await user.get("/v1/auth/me")).status == 200
    assert (await second.get("/v1/auth/me")).status == 401
    former = await api.post("/v1/auth/login", {"email": email, "password": PASSWORD})
    assert former.status == 401
    assert (await api.log_in(email, NEXT)).credential


async def test_a_password_is_changed_with_a_code_where_a_second_factor_is_in_force(
    api: Client,
) -> None:
    user = await api.client_of(Role.VIEWER)
    _, recovery_codes = await enrolled(user)
    change = {"oldPassword": PASSWORD, "newPassword": NEXT, "endsKeys": True}

    by_password_alone = await user.ask("PUT", "/v1/auth/password", change)
    wrong = await user.ask("PUT", "/v1/auth/password", {**change, "code": "000000"})
    changed = await user.ask("PUT", "/v1/auth/password", {**change, "code": recovery_codes[0]})

    assert [by_password_alone.status, wrong.status, changed.status] == [403, 403, 200]
    assert by_password_alone.problem["code"] == wrong.problem["code"] == "auth.proof.wrong"


async def test_a_user_lists_their_own_sessions_and_ends_one_or_all(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)
    email = await email_of(user)
    second, third = await api.log_in(email), await api.log_in(email)
    stranger = await api.client_of(Role.VIEWER)

    listed = (await user.get("/v1/auth/sessions")).json["data"]
    current = [session["id"] for session in listed if session["isCurrent"]]
    [second_id] = [
        session["id"]
        for session in (await second.get("/v1/auth/sessions")).json["data"]
        if session["isCurrent"]
    ]
    foreign = await stranger.ask("DELETE", f"/v1/auth/sessions/{second_id}")
    unknown = await user.ask("DELETE", f"/v1/auth/sessions/{uuid4()}")
    revoked = await user.ask("DELETE", f"/v1/auth/sessions/{second_id}")

    assert len(listed) == 3
    assert len(current) == 1
    assert (foreign.status, unknown.status, revoked.status) == (404, 404, 200)
    assert (await second.get("/v1/auth/me")).status == 401
    spared = await user.ask("DELETE", "/v1/auth/sessions?keepCurrent=true")
    assert spared.json == {"sessions": 1, "keys": 0, "livingKeys": []}
    assert (await third.get("/v1/auth/me")).status == 401
    assert (await user.ask("DELETE", "/v1/auth/sessions")).json["sessions"] == 1
    assert (await user.get("/v1/auth/me")).status == 401


async def a_key_of(user: Client) -> Client:
    created = await user.post("/v1/api-keys", {"name": "crm", "scopes": ["leads:read"]})
    return user.holding(created.json["secret"])


async def test_a_stolen_token_enrolls_no_second_factor_without_a_fresh_proof(
    api: Client, node_database: Database
) -> None:
    user = await api.client_of(Role.VIEWER)
    await let_proof_age(node_database, user)

    refused = await user.post("/v1/auth/totp")
    unproved = await user.post("/v1/auth/recovery-codes", {})
    await user.post("/v1/auth/proof", {"password": PASSWORD})
    enrolled_now = await user.post("/v1/auth/totp")

    assert (refused.status, refused.problem["code"]) == (403, "auth.proof.needed")
    assert unproved.status == 403
    assert enrolled_now.status == 201


async def test_a_code_is_a_fresh_proof_once(api: Client, node_database: Database) -> None:
    user = await api.client_of(Role.VIEWER)
    _, codes = await enrolled(user)
    await let_proof_age(node_database, user)

    proved = await user.post("/v1/auth/proof", {"code": codes[0]})
    again = await user.post("/v1/auth/proof", {"code": codes[0]})

    assert (proved.status, again.status) == (200, 403)
    assert (await user.post("/v1/api-keys", {"name": "k", "scopes": ["self"]})).status == 201


@pytest.mark.parametrize("ends_keys", [False, True])
async def test_a_change_of_password_asks_about_keys_and_lists_those_that_live(
    api: Client, *, ends_keys: bool
) -> None:
    user = await api.client_of(Role.VIEWER)
    key = await a_key_of(user)
    change = {"oldPassword": PASSWORD, "newPassword": NEXT}

    unasked = await user.ask("PUT", "/v1/auth/password", change)
    changed = await user.ask("PUT", "/v1/auth/password", {**change, "endsKeys": ends_keys})

    ended = changed.json["ended"]
    assert unasked.problem["fields"][0]["path"] == "endsKeys"
    assert ended["keys"] == int(ends_keys)
    assert [key["name"] for key in ended["livingKeys"]] == ([] if ends_keys else ["crm"])
    assert (await key.get("/v1/leads")).status == (401 if ends_keys else 200)


async def test_ending_one_s_own_sessions_lists_the_keys_that_live_and_ends_them_on_request(
    api: Client,
) -> None:
    user = await api.client_of(Role.VIEWER)
    key = await a_key_of(user)

    kept = await user.ask("DELETE", "/v1/auth/sessions?keepCurrent=true")
    ended = await user.ask("DELETE", "/v1/auth/sessions?endsKeys=true")

    assert [key["name"] for key in kept.json["livingKeys"]] == ["crm"]
    assert ended.json == {"sessions": 1, "keys": 1, "livingKeys": []}
    assert (await key.get("/v1/leads")).status == 401


async def test_an_administrator_s_reset_and_end_of_sessions_revoke_keys(api: Client) -> None:
    reset, ended = await api.client_of(Role.VIEWER), await api.client_of(Role.VIEWER)
    keys = [await a_key_of(reset), await a_key_of(ended)]

    link = (await api.post(f"/v1/users/{reset.user_id}/password-reset", {})).json
    await api.post("/v1/auth/register", {"token": link["token"], "password": NEXT})
    answer = await api.ask("DELETE", f"/v1/users/{ended.user_id}/sessions")

    assert answer.json == {"sessions": 1, "keys": 1, "livingKeys": []}
    for key in keys:
        assert (await key.get("/v1/leads")).status == 401
