from uuid import uuid4

import pytest
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.engine.db.pool import Database

from tests.support.api import Client
from tests.support.messaging import ADDRESS_KEY, World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
EMAIL = f"{uuid4().hex}@acme.example"


@pytest.fixture(scope="module")
async def token(world: World) -> str:
    [event] = await world.approved(email=EMAIL)
    return AddressHasher(ADDRESS_KEY).unsubscribe_token(event.intent_id)


async def count(database: Database, table: str) -> int:
    return int(await database.fetch_value(sql(f"SELECT count(*) FROM {table}")))  # noqa: S608 - ours


async def test_looking_asks_and_changes_nothing_posting_ends_it_and_again_the_same(
    api: Client, token: str, node_database: Database
) -> None:
    before = await count(node_database, "suppression")
    for _ in range(3):
        asked = await api.get(f"/u/{token}")
        assert asked.status == 200
        assert "<form method=" in asked.body.decode()
    assert await count(node_database, "suppression") == before

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    path = f"/u/{token}"
    first = await api.post(path, raw=b"List-Unsubscribe=One-Click", headers=form)
    again = await api.post(path, raw=b"List-Unsubscribe=One-Click", headers=form)
    looked = await api.get(path)

    assert (first.status, again.status, looked.status) == (200, 200, 200)
    assert first.body == again.body == looked.body
    assert EMAIL not in first.body.decode()
    assert await count(node_database, "suppression") == before + 2


async def test_the_page_runs_no_script_and_loads_nothing(api: Client) -> None:
    page = await api.get("/u/unknown")

    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert b"<script" not in page.body


@pytest.mark.parametrize("token", ["x", "x" * 5_000, "%00", "%ff", "..%2fetc", "<b>", "%ud800"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_foreign_token_is_not_known(api: Client, method: str, token: str) -> None:
    answer = await api.ask(method, f"/u/{token}")

    assert answer.status == 404
    assert "<b>" not in answer.body.decode()
