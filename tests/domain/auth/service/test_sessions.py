from datetime import timedelta

import pytest
from leadflood.domain.auth.schemas.credentials import EndedAccess
from leadflood.domain.auth.service.sessions import MAX_SESSIONS, RenewedSession, ReusedToken
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from tests.support.accounts import HERE, register, start_accounts

pytestmark = pytest.mark.pg


async def test_a_session_ends_at_its_maximum_age_however_often_it_is_renewed(
    database: Database, clock: ManualClock
) -> None:
    accounts = await start_accounts(database, clock)
    sessions, user_id = accounts.use.sessions, await register(accounts, database, clock)
    async with database.transaction() as tx:
        token = (await sessions.open(tx, user_id, HERE, "")).refresh_token
    renewals = 0

    while renewals < 10:
        clock.advance(timedelta(days=20).total_seconds())
        await accounts.use.signing_keys.refresh()
        async with database.transaction() as tx:
            renewed = await sessions.renew(tx, token, HERE)
        if renewed is None:
            break
        assert isinstance(renewed, RenewedSession)
        renewals += 1
        token = renewed.tokens.refresh_token

    assert renewals == 4  # after 20, 40, 60 and 80 days; 90 is the most


async def test_an_invented_refresh_token_ends_no_session(
    database: Database, clock: ManualClock
) -> None:
    accounts = await start_accounts(database, clock)
    sessions, user_id = accounts.use.sessions, await register(accounts, database, clock)
    async with database.transaction() as tx:
        tokens = await sessions.open(tx, user_id, HERE, "")
    invented = tokens.refresh_token[:40] + "A" * 40

    async with database.transaction() as tx:
        assert await sessions.renew(tx, invented, HERE) is None
        assert await sessions.renew(tx, tokens.refresh_token, HERE) is not None


async def test_a_refresh_token_used_twice_ends_its_session(
    database: Database, clock: ManualClock
) -> None:
    accounts = await start_accounts(database, clock)
    sessions, user_id = accounts.use.sessions, await register(accounts, database, clock)
    async with database.transaction() as tx:
        first = await sessions.open(tx, user_id, HERE, "")
        second = await sessions.renew(tx, first.refresh_token, HERE)
    assert isinstance(second, RenewedSession)

    async with database.transaction() as tx:
        reused = await sessions.renew(tx, first.refresh_token, HERE)
        assert await sessions.renew(tx, second.tokens.refresh_token, HERE) is None

    assert reused == ReusedToken(first.session_id, user_id)


async def test_the_list_of_sessions_marks_the_current_one(
    database: Database, clock: ManualClock
) -> None:
    accounts = await start_accounts(database, clock)
    sessions, user_id = accounts.use.sessions, await register(accounts, database, clock)
    async with database.transaction() as tx:
        older = await sessions.open(tx, user_id, HERE, "a browser")
        newer = await sessions.open(tx, user_id, HERE, "another browser")

    listed = await sessions.list(database, user_id, older.session_id, None, 10)

    assert [(session.id, session.is_current) for session in listed] == [
        (newer.session_id, False),
        (older.session_id, True),
    ]


async def test_the_newest_fifty_sessions_of_a_user_are_kept(
    database: Database, clock: ManualClock
) -> None:
    accounts = await start_accounts(database, clock)
    sessions, user_id = accounts.use.sessions, await register(accounts, database, clock)
    async with database.transaction() as tx:
        opened = [
            (await sessions.open(tx, user_id, HERE, "")).session_id for _ in range(MAX_SESSIONS + 3)
        ]

    listed = await sessions.list(database, user_id, None, None, 100)

    assert [session.id for session in listed] == opened[:2:-1]
    async with database.transaction() as tx:
        assert await accounts.use.revocation.end_all(tx, user_id, "x") == EndedAccess(
            sessions=MAX_SESSIONS, keys=0, living_keys=()
        )
