"""The master secret of an installation, on a database."""

import msgspec
import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Bug, Conflict, Invalid
from tests.support.accounts import (
    CHEAP,
    EMAIL,
    HERE,
    PASSWORD,
    make_accounts,
    register,
    start_accounts,
)

pytestmark = pytest.mark.pg
OTHER_SECRET = msgspec.structs.replace(CHEAP, secret="t" * 40)


async def test_all_nodes_of_a_database_need_the_same_secret(
    database: Database, clock: ManualClock
) -> None:
    await start_accounts(database, clock)
    await start_accounts(database, clock)

    with pytest.raises(Conflict, match="LEADFLOOD_ACCOUNTS__SECRET"):
        await start_accounts(database, clock, OTHER_SECRET)


async def test_adopting_another_secret_ends_all_sessions_and_second_factors(
    database: Database, clock: ManualClock
) -> None:
    before = await start_accounts(database, clock)
    user_id = await register(before, database, clock)
    async with database.transaction() as tx:
        token = (await before.use.sessions.open(tx, user_id, HERE, "")).access_token
        await before.use.own_account.enroll(tx, user_id)
    after = make_accounts(database, clock, OTHER_SECRET)

    await after.start(adopts=True)

    assert await after.use.credentials.find(token) is None
    with pytest.raises(Conflict):
        await start_accounts(database, clock)
    async with after.use.login.verify_password(EMAIL, PASSWORD, HERE) as verified:
        assert verified.user is not None
        assert verified.user.totp_secret is None


async def test_a_short_secret_is_refused(database: Database, clock: ManualClock) -> None:
    short = msgspec.structs.replace(CHEAP, secret="s" * 3)

    with pytest.raises(Invalid, match=r"accounts\.secret"):
        await start_accounts(database, clock, short)


async def test_a_secret_that_is_not_set_is_read_from_the_data_folder(
    database: Database, clock: ManualClock
) -> None:
    accounts = make_accounts(database, clock, msgspec.structs.replace(CHEAP, secret=""))

    with pytest.raises(Bug):
        _ = accounts.use
    await accounts.start()

    assert accounts.use.signing_keys.newest().retired_at is None
