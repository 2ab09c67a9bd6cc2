from uuid import uuid4

import pytest
from aiohttp import WSServerHandshakeError
from hypothesis import given, strategies as st
from leadflood.api.http import rate_limit as rates
from leadflood.api.http.rate_limit import (
    Meter,
    Rate,
    RateClass,
    RateLimited,
    RateLimiter,
    Settings,
    tightest,
)
from leadflood.api.http.settings import Settings as HttpSettings
from leadflood.app import Node
from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind
from leadflood.domain.auth.schemas.roles import ALL
from leadflood.engine.clock import ManualClock

from tests.support.api import PASSWORD, running_api

pytestmark = pytest.mark.pg
FEW = RateClass(Rate(60.0, 3), Rate(60.0, 3))


def a_user() -> Principal:
    return Principal(kind=PrincipalKind.USER, name="u", permissions=ALL, id=uuid4())


def test_a_burst_passes_then_one_at_a_time_as_time_goes_by() -> None:
    clock = ManualClock()
    meter = Meter(Rate(60.0, 3), clock)

    waits = [quota.wait_seconds for _ in range(5) if (quota := meter.count("a"))]
    clock.advance(1.0)
    after = meter.count("a")
    again = meter.count("a")

    assert waits == [0, 0, 0, 1.0, 1.0]
    assert after is not None
    assert again is not None
    assert (after.wait_seconds, again.wait_seconds) == (0, 1.0)


@given(st.lists(st.floats(min_value=0, max_value=30), max_size=80), st.integers(1, 10))
def test_nobody_ever_gets_more_than_the_burst_and_what_time_brings(
    pauses: list[float], burst: int
) -> None:
    clock, passed, seconds = ManualClock(), 0, 0.0
    meter = Meter(Rate(60.0, burst), clock)

    for pause in pauses:
        clock.advance(pause)
        seconds += pause
        quota = meter.count("a")
        assert quota is not None
        passed += not quota.wait_seconds
        assert 0 <= quota.remaining < burst
        assert quota.reset_seconds <= burst + 1e-6

    assert passed <= burst + seconds + 1e-6


def test_a_rate_of_nothing_limits_nobody() -> None:
    assert Meter(Rate(0.0)).count("a") is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_KNOWN", 10)
    meter = Meter(Rate(60.0, 3))

    for number in range(100):
        meter.count(str(number))

    assert len(meter) == 10


def test_the_ipv6_addresses_of_a_customer_share_a_limit() -> None:
    limits = RateLimiter(Settings(public=FEW))

    for number in range(3):
        limits.count_address("public", f"2001:db8:0:1::{number}")
    with pytest.raises(RateLimited):
        limits.count_address("public", "2001:db8:0:1:ffff::1")

    assert limits.count_address("public", "2001:db8:0:2::1")


def test_each_user_is_counted_alone_and_the_operator_only_when_set() -> None:
    operator = Principal(kind=PrincipalKind.OPERATOR, name="o", permissions=ALL)
    limits, first = RateLimiter(Settings(normal=FEW)), a_user()

    for _ in range(3):
        limits.count_caller("normal", first)
    with pytest.raises(RateLimited, match="one every 1 s"):
        limits.count_caller("normal", first)

    assert limits.count_caller("normal", a_user())
    assert limits.count_caller("normal", operator) is None
    assert RateLimiter(Settings(normal=FEW, limits_operator=True)).count_caller("normal", operator)


def test_the_tighter_of_two_limits_is_shown() -> None:
    limits = RateLimiter(Settings(normal=RateClass(Rate(60.0, 9), Rate(60.0, 3))))

    answer = tightest(
        [limits.count_caller("normal", a_user()), None, limits.count_address("normal", "192.0.2.1")]
    )

    assert answer is not None
    assert answer.headers() == {
        "RateLimit-Limit": "3",
        "RateLimit-Remaining": "2",
        "RateLimit-Reset": "1",
        "RateLimit-Policy": "3;w=3",
    }


async def test_a_rate_limited_caller_learns_when_to_retry_and_others_are_not_limited(
    node: Node,
) -> None:
    limits = Settings(normal=FEW, limits_operator=True)
    async with running_api(node, rates=limits) as api:
        answers = [await api.get("/v1/icps") for _ in range(4)]
        unlimited = await api.get("/health")

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert refused.problem["code"] == "http.rate.exceeded"
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit-Limit"] == "3"
    assert unlimited.status == 200
    assert "RateLimit-Limit" not in unlimited.headers


async def test_an_open_page_is_limited_by_address(node: Node) -> None:
    async with running_api(node, rates=Settings(public=FEW)) as api:
        statuses = [(await api.get("/u/x")).status for _ in range(4)]

    assert statuses == [404, 404, 404, 429]


async def test_a_refused_request_is_counted_too(node: Node) -> None:
    limits = Settings(normal=FEW, limits_operator=True)
    async with running_api(node, rates=limits) as api:
        statuses = [(await api.get("/v1/icps?x=1")).status for _ in range(4)]

    assert statuses == [422, 422, 422, 429]


def test_the_usual_limits_leave_a_team_alone() -> None:
    usual = HttpSettings().rates

    assert usual.normal.caller.burst >= 500
    assert usual.auth.address.per_minute < usual.normal.address.per_minute


async def test_invalid_credentials_are_limited_by_address_before_they_are_looked_up(
    node: Node,
) -> None:
    async with running_api(node, rates=Settings(normal=FEW)) as api:
        made_up = [api.holding(f"lf_{uuid4().hex}_{'0' * 64}") for _ in range(4)]

        answers = [(await client.get("/v1/icps")).status for client in made_up]
        operator = await api.get("/v1/icps")

    assert answers == [401, 401, 401, 429]
    assert operator.status == 200


@pytest.mark.parametrize("path", ["/ready", "/docs", "/docs/start.js", "/openapi.json"])
async def test_open_pages_that_cost_something_are_limited_by_address(node: Node, path: str) -> None:
    async with running_api(node, rates=Settings(watch=FEW)) as api:
        statuses = [(await api.holding("").get(path)).status for _ in range(4)]
        alive = await api.holding("").get("/health")

    assert statuses == [200, 200, 200, 429]
    assert alive.status == 200


async def test_metrics_are_limited_by_caller(node: Node) -> None:
    limits = Settings(watch=RateClass(Rate(60.0, 3), Rate()))
    async with running_api(node, rates=limits) as api:
        reader = await api.client_of("ADMIN")
        statuses = [(await reader.get("/metrics")).status for _ in range(4)]

    assert statuses == [200, 200, 200, 429]


async def test_a_flood_behind_an_address_does_not_stop_the_sessions_behind_it(node: Node) -> None:
    limits = Settings(auth=RateClass(address=Rate(1.0, 3)))
    async with running_api(node) as unlimited, running_api(node, rates=limits) as api:
        user = await unlimited.client_of("VIEWER")
        mine = api.holding(user.credential)
        await mine.get("/v1/auth/me")
        nobody = {"email": "nobody@team.example", "password": "a guess"}
        flood = [(await api.post("/v1/auth/login", nobody)).status for _ in range(5)]

        proved = await mine.post("/v1/auth/proof", {"password": PASSWORD})
        renewed = await api.post("/v1/auth/refresh", {"refreshToken": user.refresh_token})

    assert flood == [401, 401, 401, 429, 429]
    assert (proved.status, renewed.status) == (200, 200)


@pytest.mark.parametrize("path", ["/v1/icps", "/v1/auth/sessions", "/metrics"])
async def test_refused_credentials_behind_an_address_do_not_stop_what_is_in_force_there(
    node: Node, path: str
) -> None:
    limits = Settings(normal=FEW, auth=FEW, watch=FEW)
    async with running_api(node) as unlimited, running_api(node, rates=limits) as api:
        user = await unlimited.client_of("ADMIN")
        created = await user.post("/v1/api-keys", {"name": "k", "scopes": ["icps:read"]})
        key = api.holding(created.json["secret"])
        credentials = ["x", f"lf_{uuid4().hex}_{'0' * 64}", user.credential[:-4] + "AAAA"] * 2

        await unlimited.holding(key.credential).get("/v1/icps")
        flood = [(await api.holding(credential).get(path)).status for credential in credentials]
        node.storage.accounts.use.credentials.forget()
        mine = [
            (await api.holding(user.credential).get(path)).status,
            (await key.get("/v1/icps")).status,
        ]

    assert flood == [401, 401, 401, 429, 429, 429]
    assert mine == [200, 200]


async def test_guesses_at_tickets_are_limited_by_address(node: Node) -> None:
    async with running_api(node, rates=Settings(normal=FEW)) as api:
        statuses = []
        for number in range(4):
            with pytest.raises(WSServerHandshakeError) as refusal:
                await api.session.ws_connect(f"{api.address}/v1/events?ticket=guess{number}")
            statuses.append(refusal.value.status)

    assert statuses == [401, 401, 401, 429]
