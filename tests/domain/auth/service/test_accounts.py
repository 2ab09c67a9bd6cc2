import msgspec
import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Bug
from tests.support.accounts import CHEAP, make_accounts

pytestmark = pytest.mark.pg


async def test_a_secret_that_is_not_set_is_read_from_the_data_folder(
    database: Database, clock: ManualClock
) -> None:
    accounts = make_accounts(database, clock, msgspec.structs.replace(CHEAP, secret=""))

    with pytest.raises(Bug):
        _ = accounts.use
    await accounts.start()

    assert accounts.use.signing_keys.newest().retired_at is None
