import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from tests.support.accounts import HERE, register, start_accounts

pytestmark = pytest.mark.pg


async def test_another_node_accepts_a_rotated_key_and_the_tokens_of_the_former_one(
    database: Database, clock: ManualClock
) -> None:
    node = await start_accounts(database, clock)
    other_node = await start_accounts(database, clock)
    user_id = await register(node, database, clock)
    async with database.transaction() as tx:
        before = await node.use.sessions.open(tx, user_id, HERE, "")
        await node.use.signing_keys.rotate(tx)
    node.use.signing_keys.mark_stale()
    other_node.use.signing_keys.mark_stale()
    await node.use.signing_keys.refresh()
    async with database.transaction() as tx:
        after = await node.use.sessions.open(tx, user_id, HERE, "")

    for tokens in (before, after):
        assert await other_node.use.credentials.find(tokens.access_token) is not None
    clock.advance(16 * 60)
    for tokens in (before, after):
        assert await other_node.use.credentials.find(tokens.access_token) is None
