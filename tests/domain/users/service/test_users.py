import pytest
from leadflood.domain.auth.schemas.principals import OPERATOR
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import UserState
from leadflood.domain.users.schemas import UserChange, UserFilter
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, PreconditionFailed
from tests.support.accounts import EMAIL, HERE, make_users, register, start_accounts

pytestmark = pytest.mark.pg


async def test_a_disabled_user_loses_sessions_and_keys_and_the_list_says_so(
    database: Database, clock: ManualClock
) -> None:
    accounts, users = await start_accounts(database, clock), make_users(database, clock)
    user_id = await register(accounts, database, clock, Role.MANAGER)
    async with database.transaction() as tx:
        tokens = await accounts.use.sessions.open(tx, user_id, HERE, "")

    async with database.transaction() as tx:
        update = await users.change(tx, user_id, UserChange(state=UserState.DISABLED), OPERATOR)

    assert (update.before.state, update.after.state) == (UserState.ACTIVE, UserState.DISABLED)
    assert await accounts.use.credentials.find(tokens.access_token) is None
    assert await users.list(UserFilter(text="ANN@"), None, 10) == [update.after]
    assert not await users.list(UserFilter(state=UserState.ACTIVE), None, 10)


async def test_the_last_administrator_cannot_be_demoted(
    database: Database, clock: ManualClock
) -> None:
    accounts, users = await start_accounts(database, clock), make_users(database, clock)
    user_id = await register(accounts, database, clock)

    with pytest.raises(Conflict, match="last active administrator"):
        async with database.transaction() as tx:
            await users.change(tx, user_id, UserChange(role=Role.VIEWER), OPERATOR)


async def test_a_change_of_another_version_is_refused(
    database: Database, clock: ManualClock
) -> None:
    accounts, users = await start_accounts(database, clock), make_users(database, clock)
    user_id = await register(accounts, database, clock)
    version = (await users.get(user_id)).version

    with pytest.raises(PreconditionFailed):
        async with database.transaction() as tx:
            await users.change(tx, user_id, UserChange(name="Anne"), OPERATOR, version + 1)


async def test_an_address_is_invited_once(database: Database, clock: ManualClock) -> None:
    users = make_users(database, clock)
    async with database.transaction() as tx:
        await users.invite(tx, EMAIL, "Ann", Role.VIEWER, OPERATOR)

    with pytest.raises(Conflict, match=EMAIL):
        async with database.transaction() as tx:
            await users.invite(tx, EMAIL.upper(), "Ann", Role.VIEWER, OPERATOR)
