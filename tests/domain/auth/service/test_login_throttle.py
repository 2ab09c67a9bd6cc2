import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Throttled
from tests.support.accounts import EMAIL, HERE, PASSWORD, register, start_accounts

pytestmark = pytest.mark.pg
HOUR_SECONDS = 3_600.0
HOURS = 3


async def test_hours_of_guesses_from_a_known_address_are_few_and_nobody_waits_over_a_minute(
    database: Database, clock: ManualClock
) -> None:
    accounts = await start_accounts(database, clock)
    await register(accounts, database, clock)
    login, begun, count, waits = accounts.use.login, clock.monotonic(), 0, list[float]()

    while clock.monotonic() < begun + HOURS * HOUR_SECONDS:
        try:
            await login.verify_password(EMAIL, "a wrong guess", HERE)
            count += 1
        except Throttled as throttled:
            waits.append(throttled.retry_after_seconds or 0.0)
            clock.advance(waits[-1])

    assert max(waits) <= 60.0
    assert count <= HOURS * 65 + 15
    clock.advance(60.0)
    assert (await login.verify_password(EMAIL, PASSWORD, HERE)).user is not None
