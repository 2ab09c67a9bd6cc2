from datetime import timedelta

import pytest
from leadflood.domain.auth.retention import prune
from leadflood.domain.auth.schemas.links import LinkKind
from leadflood.domain.auth.schemas.principals import OPERATOR
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import NotFound
from tests.support.accounts import (
    CHEAP,
    EMAIL,
    HERE,
    PASSWORD,
    make_users,
    register,
    start_accounts,
)

pytestmark = pytest.mark.pg


async def test_expired_links_old_sessions_and_failed_logins_are_deleted(
    database: Database, clock: ManualClock
) -> None:
    accounts = await start_accounts(database, clock)
    user_id = await register(accounts, database, clock)
    async with database.transaction() as tx:
        issued = await make_users(database, clock).make_link(tx, user_id, LinkKind.RESET, OPERATOR)
        await accounts.use.sessions.open(tx, user_id, HERE, "")
    verified = await accounts.use.login.verify_password(EMAIL, "a wrong guess", HERE)
    assert verified.user is None
    assert await accounts.use.registration.find(issued.link.token) is not None
    assert await prune(database, CHEAP, clock.now()) == 0

    clock.advance(timedelta(days=200).total_seconds())

    with pytest.raises(NotFound):
        await accounts.use.registration.prepare(issued.link.token, "", PASSWORD)
    assert await prune(database, CHEAP, clock.now()) == 3
    assert await prune(database, CHEAP, clock.now()) == 0
