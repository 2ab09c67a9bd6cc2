"""Guessing: slowed down for who guesses, open for who knows; and what is kept of it."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import asyncpg
import pytest
from leadflood.api.http.rate_limit import RateClass, Settings as Rates
from leadflood.app import Node
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.settings import Settings as AccountSettings
from leadflood.engine.db.pool import Settings

from tests.support.api import PASSWORD, Answer, Client, running_api

pytestmark = pytest.mark.pg
MOST = AccountSettings().account_failures
PROXIED = {"trusted_proxies": ("127.0.0.1",), "rates": Rates(auth=RateClass(), public=RateClass())}


@pytest.fixture
async def behind_proxy(node: Node) -> AsyncIterator[Client]:
    async with running_api(node, **PROXIED) as client:
        yield client


async def try_from(
    api: Client, address: str, email: str, password: str, device_token: str = ""
) -> Answer:
    body = {"email": email, "password": password, "deviceToken": device_token}
    return await api.post("/v1/auth/login", body, headers={"X-Forwarded-For": address})


async def email_of(user: Client) -> str:
    return str((await user.get("/v1/auth/me")).json["user"]["email"])


async def test_a_stranger_s_guesses_do_not_lock_the_owner_out(behind_proxy: Client) -> None:
    api = behind_proxy
    email = await email_of(await api.client_of(Role.VIEWER))
    assert (await try_from(api, "198.51.100.1", email, PASSWORD)).status == 200

    guesses = [
        (await try_from(api, f"203.0.113.{number}", email, "a wrong guess")).status
        for number in range(MOST)
    ]
    stranger = await try_from(api, "203.0.113.99", email, PASSWORD)
    owner = await try_from(api, "198.51.100.1", email, PASSWORD)

    assert guesses == [401] * MOST
    assert (stranger.status, stranger.problem["code"]) == (429, "auth.login.throttled")
    assert 1 <= int(stranger.headers["Retry-After"]) <= 15 * 60
    assert owner.status == 200


async def test_guesses_at_many_accounts_close_only_their_address(behind_proxy: Client) -> None:
    api, most = behind_proxy, AccountSettings().address_failures
    email = await email_of(await api.client_of(Role.VIEWER))

    statuses = [
        (await try_from(api, "203.0.113.150", f"n{number}@none.example", "a guess")).status
        for number in range(most)
    ]
    closed = await try_from(api, "203.0.113.150", email, PASSWORD)
    elsewhere = await try_from(api, "198.51.100.7", email, PASSWORD)

    assert statuses == [401] * most
    assert closed.status == 429
    assert elsewhere.status == 200


async def test_guesses_of_others_behind_an_address_keep_out_nobody_who_was_let_in_there(
    behind_proxy: Client,
) -> None:
    """Fifty failures of one visitor do not lock out the office behind the same address."""
    api, office = behind_proxy, "203.0.113.160"
    traveller = await api.client_of(Role.VIEWER)
    email = await email_of(await api.client_of(Role.VIEWER))
    assert (await try_from(api, office, email, PASSWORD)).status == 200
    for number in range(AccountSettings().address_failures):
        await try_from(api, office, f"v{number}@none.example", "a guess")

    newcomer = await try_from(api, office, await email_of(await api.client_of("VIEWER")), PASSWORD)
    known = await try_from(api, office, email, PASSWORD)
    in_session = await traveller.post(
        "/v1/auth/proof", {"password": PASSWORD}, headers={"X-Forwarded-For": office}
    )

    assert (newcomer.status, known.status, in_session.status) == (429, 200, 200)


async def test_guesses_from_a_known_address_are_slow_and_its_owner_waits_for_seconds(
    behind_proxy: Client,
) -> None:
    api, home = behind_proxy, "203.0.113.170"
    email = await email_of(await api.client_of(Role.VIEWER))
    assert (await try_from(api, home, email, PASSWORD)).status == 200

    guesses = [await try_from(api, home, email, "a wrong guess") for _ in range(MOST)]
    closed = await try_from(api, home, email, PASSWORD)
    with anyio.fail_after(10):
        while (owner := await try_from(api, home, email, PASSWORD)).status == 429:
            await anyio.lowlevel.checkpoint()

    assert {guess.status for guess in guesses} == {401}
    assert (closed.status, closed.headers["Retry-After"], owner.status) == (429, "1", 200)


async def test_a_device_with_its_token_is_kept_out_by_nobody_behind_the_same_address(
    behind_proxy: Client,
) -> None:
    """The guarantee: whoever keeps guessing where the owner sits does not make the owner wait."""
    api, home = behind_proxy, "203.0.113.180"
    email = await email_of(await api.client_of(Role.VIEWER))
    device_token = (await try_from(api, home, email, PASSWORD)).json["deviceToken"]
    for _ in range(MOST):
        await try_from(api, home, email, "a wrong guess")

    without = await try_from(api, home, email, PASSWORD)
    with_token = await try_from(api, home, email, PASSWORD, device_token)
    travelling = await try_from(api, "198.51.100.180", email, PASSWORD, device_token)

    assert (without.status, with_token.status, travelling.status) == (429, 200, 200)
    assert with_token.json["deviceToken"]


async def test_guesses_on_a_known_device_wait_and_its_token_opens_no_other_account(
    behind_proxy: Client,
) -> None:
    api, away = behind_proxy, "203.0.113.190"
    email = await email_of(await api.client_of(Role.VIEWER))
    other = await email_of(await api.client_of(Role.VIEWER))
    device_token = (await try_from(api, "198.51.100.190", email, PASSWORD)).json["deviceToken"]

    guesses = [await try_from(api, away, email, "a guess", device_token) for _ in range(MOST + 1)]
    others = [await try_from(api, away, other, "a guess", device_token) for _ in range(MOST + 1)]

    assert [guess.status for guess in guesses] == [401] * MOST + [429]
    assert [guess.status for guess in others] == [401] * MOST + [429]
    assert guesses[-1].headers["Retry-After"] == "1"
    assert int(others[-1].headers["Retry-After"]) > 60


async def test_the_ipv6_addresses_of_a_customer_count_as_one(behind_proxy: Client) -> None:
    api = behind_proxy
    email = await email_of(await api.client_of(Role.VIEWER))
    assert (await try_from(api, "2001:db8:1:2::1", email, PASSWORD)).status == 200
    for number in range(MOST):
        await try_from(api, f"2001:db8:9:{number:x}::1", email, "a wrong guess")

    same_home = await try_from(api, "2001:db8:1:2:ffff::9", email, PASSWORD)

    assert same_home.status == 200


async def test_a_hundred_guesses_at_once_are_counted_like_a_hundred_in_a_row(
    behind_proxy: Client,
) -> None:
    api, answers = behind_proxy, list[Answer]()
    email = await email_of(await api.client_of(Role.VIEWER))

    async def guess(number: int) -> None:
        address = f"203.0.113.{number % 250}"
        answers.append(await try_from(api, address, email, "a wrong guess"))

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(guess, number)

    statuses = [answer.status for answer in answers]
    assert statuses.count(401) == MOST
    assert set(statuses) <= {401, 429, 503}  # 503: too many at once


async def test_the_old_password_cannot_be_guessed_with_a_stolen_token(
    behind_proxy: Client,
) -> None:
    api = behind_proxy
    user = await api.client_of(Role.VIEWER)
    change = {
        "oldPassword": "a wrong guess",
        "newPassword": "another pass phrase",
        "endsKeys": False,
    }
    away = {"X-Forwarded-For": "203.0.113.201"}

    statuses = [
        (await user.ask("PUT", "/v1/auth/password", change, headers=away)).status
        for _ in range(MOST + 1)
    ]

    assert statuses == [403] * MOST + [429]


async def test_no_secret_is_stored_in_clear(api: Client, node_settings: Settings) -> None:
    secrets = await make_secrets(api)

    stored = await everything(node_settings.url)

    assert secrets["email"] in stored
    del secrets["email"]
    for name, secret in secrets.items():
        assert secret not in stored, name
        assert secret.encode().hex() not in stored, name


async def test_a_try_with_a_key_is_a_try_like_any_other(api: Client, behind_proxy: Client) -> None:
    """Who knows the key of a login guesses no more often than others, and learns no more."""
    user = await api.client_of("VIEWER")
    email = (await user.get("/v1/auth/me")).json["user"]["email"]
    headers = {"Idempotency-Key": email, "X-Forwarded-For": "198.51.100.77"}
    right = {"email": email, "password": PASSWORD}
    first, again = [
        await behind_proxy.post("/v1/auth/login", right, headers=headers) for _ in range(2)
    ]

    guesses = [
        await behind_proxy.post(
            "/v1/auth/login", {**right, "password": f"guess {n} at it"}, headers=headers
        )
        for n in range(AccountSettings().account_failures + 1)
    ]
    after = await behind_proxy.post("/v1/auth/login", right, headers=headers)

    assert (first.status, first.body) == (200, again.body)
    assert {guess.status for guess in guesses} == {401, 429}
    assert (guesses[-1].status, after.status) == (429, 429)


async def make_secrets(api: Client) -> dict[str, str]:
    """Make one of each secret, all with an Idempotency-Key; log in in vain, too."""
    key = {"Idempotency-Key": "secrets"}
    email, password = "secrets@team.example", "a pass phrase to look for"
    invited = await api.post("/v1/users", {"email": email, "role": "MANAGER"}, headers=key)
    joining = {"token": invited.json["token"], "password": password}
    await api.post("/v1/auth/register", joining, headers=key)
    wrong = {"email": email, "password": "a wrong guess to look for"}
    await api.post("/v1/auth/login", wrong, headers=key)
    entering = {"email": email, "password": password}
    entered = (await api.post("/v1/auth/login", entering, headers={"Idempotency-Key": "s2"})).json
    user = api.holding(entered["accessToken"])
    created = await user.post("/v1/api-keys", {"name": "k", "scopes": ["self"]}, headers=key)
    totp = await user.post("/v1/auth/totp", headers=key)
    body = {"refreshToken": entered["refreshToken"]}
    renewed = (await user.post("/v1/auth/refresh", body, headers=key)).json
    return {
        "email": email,
        "password": password,
        "guess": wrong["password"],
        "link": invited.json["token"],
        "access": entered["accessToken"],
        "refresh": entered["refreshToken"],
        "renewed": renewed["refreshToken"],
        "key": created.json["secret"].rpartition("_")[2],
        "totp": totp.json["secret"],
    }


async def everything(url: str) -> str:
    """All that the database holds, as text; bytes as hex and as text."""
    connection: Any = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        texts = []
        for (table,) in tables:
            for row in await connection.fetch(f"SELECT * FROM {table}"):  # noqa: S608 - a test's
                texts += [cell.hex() if isinstance(cell, bytes) else str(cell) for cell in row]
    finally:
        await connection.close()
    return "\n".join(texts)


async def test_what_a_login_did_is_audited_without_its_secrets(
    api: Client, node_settings: Settings
) -> None:
    user = await api.client_of(Role.VIEWER)
    await api.post("/v1/auth/login", {"email": await email_of(user), "password": "wrong guess"})
    body = {"refreshToken": user.refresh_token}
    await user.post("/v1/auth/refresh", body)
    await user.post("/v1/auth/refresh", body)

    connection: Any = await asyncpg.connect(node_settings.url)
    rows = await connection.fetch(
        "SELECT action, actor_kind FROM audit_event WHERE subject_id = $1 ORDER BY id",
        user.user_id,
    )
    reused = await connection.fetchval(
        "SELECT count(*) FROM audit_event WHERE action = 'session.reuse_detected'"
        " AND detail LIKE '%' || $1 || '%'",
        user.user_id,
    )
    await connection.close()

    acts = [(row["action"], row["actor_kind"]) for row in rows]
    assert acts == [
        ("user.invited", "operator"),
        ("user.registered", "nobody"),
        ("login.succeeded", "nobody"),
        ("login.failed", "nobody"),
    ]
    assert reused == 1
