"""One-time links: the first administrator claims, others register, passwords are reset."""

from urllib.parse import urlencode

import anyio
import asyncpg
import pytest
from leadflood.app import Node
from leadflood.domain.auth.schemas.roles import Role

from tests.support.api import PASSWORD, Answer, Client, Installation

pytestmark = pytest.mark.pg
SHORT = "short"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def fresh(installation: Installation) -> tuple[Node, Client]:
    """An installation that nobody has claimed."""
    connection = await asyncpg.connect(installation.url)
    await connection.execute("DELETE FROM app_user")
    await connection.close()
    return installation.node, installation.api


async def claim_token(node: Node) -> str:
    link = await node.storage.accounts.use.registration.make_claim_link()
    assert link is not None
    return link.token


def form(**fields: str) -> dict[str, object]:
    return {"raw": urlencode(fields).encode(), "headers": FORM}


async def test_one_of_many_concurrent_claims_makes_the_administrator(
    fresh: tuple[Node, Client],
) -> None:
    node, api = fresh
    token, answers = await claim_token(node), list[Answer]()

    async def claim(number: int) -> None:
        given = {"token": token, "email": f"o{number}@team.example", "password": PASSWORD}
        answers.append(await api.post("/v1/auth/claim", given))

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(claim, number)

    assert sorted(answer.status for answer in answers) == [201] + [404] * 9
    assert [user["role"] for user in (await api.get("/v1/users")).json["data"]] == ["ADMIN"]
    assert await node.storage.accounts.use.registration.make_claim_link() is None


async def test_the_claim_page_makes_the_administrator_without_a_script(
    fresh: tuple[Node, Client],
) -> None:
    node, api = fresh
    anonymous, token = api.holding(""), await claim_token(node)

    page = await anonymous.get(f"/claim/{token}")
    differing = await anonymous.post(
        f"/claim/{token}", **form(email="o@team.example", password=PASSWORD, again="x")
    )
    short = await anonymous.post(
        f"/claim/{token}", **form(email='"><b>@team.example', password=SHORT, again=SHORT)
    )
    accepted = await anonymous.post(
        f"/claim/{token}", **form(email="O@Team.example", password=PASSWORD, again=PASSWORD)
    )
    again = await anonymous.post(
        f"/claim/{token}", **form(email="p@team.example", password=PASSWORD, again=PASSWORD)
    )

    assert page.status == 200
    assert b'<form method="post">' in page.body
    assert "script" not in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert (differing.status, short.status) == (422, 422)
    assert b"<b>" not in short.body
    assert (accepted.status, again.status) == (200, 404)
    assert (await anonymous.log_in("o@team.example")).credential


async def test_a_fresh_claim_link_replaces_the_former_one(fresh: tuple[Node, Client]) -> None:
    node, api = fresh
    former, newest = await claim_token(node), await claim_token(node)

    assert (await api.get(f"/claim/{former}")).status == 404
    assert (await api.get(f"/claim/{newest}")).status == 200


async def test_the_registration_form_registers_an_invited_person(api: Client) -> None:
    invited = (await api.post("/v1/users", {"email": "form@team.example", "role": "VIEWER"})).json
    path = f"/register/{invited['token']}"

    page = await api.holding("").get(path)
    accepted = await api.holding("").post(
        path, **form(name="Flo", password=PASSWORD, again=PASSWORD)
    )

    assert invited["link"] == f"https://leads.example{path}"
    assert b"form@team.example" in page.body
    assert accepted.status == 200
    user = await api.log_in("form@team.example")
    assert (await user.get("/v1/auth/me")).json["user"]["name"] == "Flo"


async def test_a_malformed_or_long_form_is_refused(api: Client) -> None:
    anonymous = api.holding("")

    as_json = await anonymous.post("/register/x", {"password": PASSWORD})
    long = await anonymous.post("/register/x", **form(name="x" * 20_000))
    unknown = await anonymous.post("/register/x", **form(role="ADMIN"))

    assert (as_json.status, long.status, unknown.status) == (415, 413, 422)


async def test_a_reset_link_lets_a_locked_out_person_in_and_ends_their_sessions(
    api: Client,
) -> None:
    user = await api.client_of(Role.MANAGER)
    email = (await user.get("/v1/auth/me")).json["user"]["email"]

    created = await api.post(f"/v1/users/{user.user_id}/password-reset", {})
    body = {"token": created.json["token"], "password": "another pass phrase"}
    first = await api.post("/v1/auth/register", body)
    second = await api.post("/v1/auth/register", body)

    assert (created.status, first.status, second.status) == (201, 201, 404)
    assert (await user.get("/v1/auth/me")).status == 401
    assert (await api.log_in(email, "another pass phrase")).credential


@pytest.mark.parametrize(
    "password", ["short", "password1234", "aaaaaaaaaaaaaaaa", "x" * 1_001, "policy@team.example"]
)
async def test_a_password_that_is_easily_guessed_is_refused(api: Client, password: str) -> None:
    email = "policy@team.example"
    await api.post("/v1/users", {"email": email, "role": "VIEWER"})
    [user] = (await api.get("/v1/users?q=policy@")).json["data"]
    link = (await api.post(f"/v1/users/{user['id']}/invitation")).json

    refused = await api.post("/v1/auth/register", {"token": link["token"], "password": password})

    assert (refused.status, refused.problem["code"]) == (422, "auth.password.refused")
