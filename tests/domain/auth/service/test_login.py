import msgspec
import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from tests.support.accounts import CHEAP, EMAIL, HERE, PASSWORD, register, start_accounts

pytestmark = pytest.mark.pg


async def test_a_password_is_rehashed_when_its_parameters_are_out_of_date(
    database: Database, clock: ManualClock
) -> None:
    before = await start_accounts(database, clock)
    user_id = await register(before, database, clock)
    costlier = msgspec.structs.replace(CHEAP, argon2_memory_kib=128)
    login = (await start_accounts(database, clock, costlier)).use.login

    verified = await login.verify_password(EMAIL, PASSWORD, HERE)
    assert verified.renewed_hash is not None
    async with database.transaction() as tx:
        await login.open_session(tx, verified, "", HERE, "")
    verified = await login.verify_password(EMAIL, PASSWORD, HERE)
    assert verified.user is not None
    assert verified.user.id == user_id
    assert verified.renewed_hash is None
