import msgspec
import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from tests.support.accounts import CHEAP, HERE, register, start_accounts

pytestmark = pytest.mark.pg


async def test_a_session_revoked_on_one_node_is_over_on_the_others_at_their_next_check(
    database: Database, clock: ManualClock
) -> None:
    node = await start_accounts(database, clock)
    uncached = msgspec.structs.replace(CHEAP, recheck_seconds=0.0)
    other_node = await start_accounts(database, clock, uncached)
    user_id = await register(node, database, clock)
    async with database.transaction() as tx:
        tokens = await node.use.sessions.open(tx, user_id, HERE, "")
    token = tokens.access_token
    principal = await node.use.credentials.find(token)
    assert principal is not None
    assert principal == await other_node.use.credentials.find(token)

    async with database.transaction() as tx:
        await node.use.sessions.revoke(tx, tokens.session_id, user_id, "by_owner")
    node.use.credentials.forget()

    assert await node.use.credentials.find(token) is None
    assert await other_node.use.credentials.find(token) is None
