"""Logging in, tokens, refresh and sessions."""

import anyio
import pytest
from leadflood.domain.auth.schemas.roles import Role

from tests.support.api import PASSWORD, Answer, Client

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
