"""Logging in, tokens, refresh and sessions."""

from contextlib import AsyncExitStack
from uuid import uuid4

import anyio
import msgspec
import pytest
from leadflood.app import Node
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.service import passwords
from leadflood.engine.db.pool import Database

from tests.support.api import PASSWORD, Answer, Client
from tests.support.raw import send_raw
from tests.support.statements import sql

pytestmark = pytest.mark.pg


async def test_an_invited_person_registers_and_logs_in(api: Client) -> None:
    rep = await api.client_of(Role.SALES_REP)

    me = (await rep.get("/v1/auth/me")).json

    assert me["role"] == "SALES_REP"
    assert me["user"]["id"] == rep.user_id
    assert "leads:write" in me["permissions"]
    assert "users:write" not in me["permissions"]


async def test_only_open_routes_answer_without_a_credential(api: Client) -> None:
    anonymous = api.holding("")

    refused = await anonymous.get("/v1/icps")

    assert refused.status == 401
    assert refused.problem["code"] == "auth.credential.missing"
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    for path in ("/health", "/ready", "/openapi.json", "/docs"):
        assert (await anonymous.get(path)).status == 200, path
    assert (await anonymous.get("/metrics")).status == 401


async def test_a_role_may_do_what_it_allows_and_nothing_else(api: Client) -> None:
    viewer = await api.client_of(Role.VIEWER)

    assert (await viewer.get("/v1/icps")).status == 200
    refused = await viewer.post("/v1/icps", {"name": "Ops", "target": {"titles": ["COO"]}})
    assert (refused.status, refused.problem["code"]) == (403, "http.denied")


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)
    email = (await user.get("/v1/auth/me")).json["user"]["email"]

    wrong = await api.post("/v1/auth/login", {"email": email, "password": "not this one, no"})
    unknown = await api.post(
        "/v1/auth/login", {"email": "nobody@team.example", "password": PASSWORD}
    )

    assert wrong.status == unknown.status == 401
    assert wrong.problem["code"] == unknown.problem["code"] == "auth.login.refused"
    assert wrong.problem["detail"] == unknown.problem["detail"]


async def test_logging_out_ends_the_session_at_once(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)

    assert (await user.post("/v1/auth/logout")).status == 200

    assert (await user.get("/v1/auth/me")).status == 401
    again = await user.post("/v1/auth/refresh", {"refreshToken": user.refresh_token})
    assert (again.status, again.problem["code"]) == (401, "auth.refresh.refused")


async def test_a_refresh_token_works_once_and_shown_again_ends_the_session(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)
    first = {"refreshToken": user.refresh_token}

    renewed = await user.post("/v1/auth/refresh", first)
    reused = await user.post("/v1/auth/refresh", first)

    assert (renewed.status, reused.status) == (200, 401)
    second = {"refreshToken": renewed.json["refreshToken"]}
    assert (await user.post("/v1/auth/refresh", second)).status == 401
    assert (await user.holding(renewed.json["accessToken"]).get("/v1/auth/me")).status == 401


async def test_one_of_fifty_concurrent_refreshes_wins(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)
    answers: list[Answer] = []

    async def refresh() -> None:
        given = {"refreshToken": user.refresh_token}
        answers.append(await user.post("/v1/auth/refresh", given))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(refresh)

    assert sorted(answer.status for answer in answers) == [200] + [401] * 49


async def test_a_retried_refresh_gets_the_same_answer(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)
    body, headers = {"refreshToken": user.refresh_token}, {"Idempotency-Key": user.user_id}

    first = await user.post("/v1/auth/refresh", body, headers=headers)
    again = await user.post("/v1/auth/refresh", body, headers=headers)

    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body


def keyed() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def email_of(user: Client) -> str:
    return str((await user.get("/v1/auth/me")).json["user"]["email"])


async def test_strangers_who_send_the_same_key_do_not_meet(api: Client) -> None:
    headers = keyed()
    emails = [await email_of(await api.client_of(Role.VIEWER)) for _ in range(2)]

    answers = [
        await api.post("/v1/auth/login", {"email": email, "password": PASSWORD}, headers=headers)
        for email in emails
    ]

    assert [answer.json["user"]["email"] for answer in answers] == emails


async def test_the_answer_of_a_login_is_kept_for_two_minutes(
    api: Client, node_database: Database
) -> None:
    body = {"email": await email_of(await api.client_of(Role.VIEWER)), "password": PASSWORD}
    headers = keyed()
    first = await api.post("/v1/auth/login", body, headers=headers)

    assert (await api.post("/v1/auth/login", body, headers=headers)).body == first.body
    await node_database.execute(
        sql("UPDATE idempotency SET expires_at = expires_at - interval '120 seconds'")
    )
    later = await api.post("/v1/auth/login", body, headers=headers)

    assert later.json["sessionId"] != first.json["sessionId"]


async def test_the_tokens_of_a_session_that_is_over_are_not_given_again(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)
    body = {"email": await email_of(user), "password": PASSWORD}
    login_key, refresh_key = keyed(), keyed()
    login = await api.post("/v1/auth/login", body, headers=login_key)
    refresh = {"refreshToken": login.json["refreshToken"]}
    renewed = await api.post("/v1/auth/refresh", refresh, headers=refresh_key)
    await api.holding(renewed.json["accessToken"]).post("/v1/auth/logout")

    again = await api.post("/v1/auth/login", body, headers=login_key)
    refreshed_again = await api.post("/v1/auth/refresh", refresh, headers=refresh_key)

    assert (renewed.status, refreshed_again.status) == (200, 401)
    assert again.json["sessionId"] != login.json["sessionId"]


async def test_a_browser_of_any_name_logs_in(api: Client) -> None:
    user = await api.client_of(Role.VIEWER)
    body = msgspec.json.encode({"email": await email_of(user), "password": PASSWORD})
    head = (
        b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"User-Agent: caf\xe9 \xff\xfe\r\nContent-Length: %d\r\n\r\n" % len(body)
    )

    answer = await send_raw(api, head + body)

    assert answer.status == 200


async def test_a_login_that_would_wait_for_long_is_refused_while_others_are_served(
    api: Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await api.client_of(Role.VIEWER)
    body = {"email": await email_of(user), "password": PASSWORD}

    async with AsyncExitStack() as stack:
        for _ in range(passwords.MAX_THREADS):
            await stack.enter_async_context(node.storage.accounts.use.passwords.slot())
        stack.enter_context(monkeypatch.context()).setattr(passwords, "MAX_WAITING", 0)
        busy = await api.post("/v1/auth/login", body)
        other = await user.get("/v1/auth/me")

    assert (busy.status, busy.problem["code"]) == (503, "auth.login.busy")
    assert int(busy.headers["Retry-After"]) >= 1
    assert other.status == 200
    assert (await api.log_in(body["email"])).credential
