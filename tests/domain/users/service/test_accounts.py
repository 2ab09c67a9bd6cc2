"""Accounts on a database: the master secret, passwords and their parameters, what is forgotten."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from leadflood.domain.auth.schemas import LinkKind, Role, Settings
from leadflood.domain.auth.service.passwords import Passwords
from leadflood.domain.users.service.accounts import Accounts
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Bug, Conflict, Invalid, NotFound
from leadflood.engine.ids import Ids

pytestmark = pytest.mark.pg
CHEAP = Settings(secret="s" * 40, argon2_memory_kib=64)
PASSWORD = "a password of nobody else"  # noqa: S105 - opens nothing
EMAIL = "ann@team.example"
HERE = "203.0.113.1"


def accounts_on(database: Database, clock: ManualClock, settings: Settings = CHEAP) -> Accounts:
    return Accounts(database, Ids(clock), clock, settings, lambda: "k" * 64)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def joined(accounts: Accounts, database: Database) -> UUID:
    """Invite and register somebody."""
    use = accounts.use
    async with database.transaction() as tx:
        invited = await use.users.invite(tx, EMAIL, "Ann", Role.ADMIN)
    ready = await use.joining.prepare(invited.link.token, "", PASSWORD)
    async with database.transaction() as tx:
        return (await use.joining.register(tx, ready, HERE)).user.id


async def test_all_nodes_of_a_database_need_the_same_secret(
    database: Database, clock: ManualClock
) -> None:
    await accounts_on(database, clock).start()
    await accounts_on(database, clock).start()
    other = msgspec.structs.replace(CHEAP, secret="t" * 40)

    with pytest.raises(Conflict, match="LEADFLOOD_ACCOUNTS__SECRET"):
        await accounts_on(database, clock, other).start()


async def test_who_lost_the_secret_begins_anew_and_nobody_stays_logged_in(
    database: Database, clock: ManualClock
) -> None:
    before = accounts_on(database, clock)
    await before.start()
    user_id = await joined(before, database)
    async with database.transaction() as tx:
        token = (await before.use.sessions.open(tx, user_id, HERE, "")).access_token
        await before.use.selves.enrol(tx, user_id)
    after = accounts_on(database, clock, msgspec.structs.replace(CHEAP, secret="t" * 40))

    await after.start(adopts=True)

    assert await after.use.credentials.find(token) is None
    with pytest.raises(Conflict):
        await accounts_on(database, clock).start()
    async with after.use.logins.checking(EMAIL, PASSWORD, HERE) as checked:
        assert checked.user is not None
        assert checked.user.totp_secret is None


async def test_a_short_secret_is_refused_and_none_is_made(
    database: Database, clock: ManualClock
) -> None:
    short = msgspec.structs.replace(CHEAP, secret="s" * 3)
    kept = accounts_on(database, clock, msgspec.structs.replace(CHEAP, secret=""))

    with pytest.raises(Invalid, match=r"accounts\.secret"):
        await accounts_on(database, clock, short).start()
    with pytest.raises(Bug):
        _ = kept.use
    await kept.start()


async def test_a_password_is_hashed_anew_when_its_parameters_are_out_of_date(
    database: Database, clock: ManualClock
) -> None:
    before = accounts_on(database, clock)
    await before.start()
    user_id = await joined(before, database)
    later = accounts_on(database, clock, msgspec.structs.replace(CHEAP, argon2_memory_kib=128))
    await later.start()

    async with later.use.logins.checking(EMAIL, PASSWORD, HERE) as checked:
        assert checked.renewed_hash is not None
        async with database.transaction() as tx:
            await later.use.logins.enter(tx, checked, "", HERE, "")
    async with later.use.logins.checking(EMAIL, PASSWORD, HERE) as checked:
        assert checked.user is not None
        assert checked.user.id == user_id
        assert checked.renewed_hash is None


async def test_the_same_password_typed_on_another_system_is_the_same() -> None:
    passwords = Passwords(CHEAP)

    hashed = await passwords.hash(
        "Zoe\N{COMBINING DIAERESIS} likes cafe\N{COMBINING ACUTE ACCENT}s"
    )

    assert await passwords.is_right(hashed, "Zo\u00eb likes caf\u00e9s")
    assert not await passwords.is_right(None, "nobody's password")
    assert not await passwords.is_right(hashed, "x" * 100_000)
    assert not await passwords.is_right("no hash of ours", "x" * 12)


async def test_a_session_ends_unused_and_at_most(database: Database, clock: ManualClock) -> None:
    accounts = accounts_on(database, clock)
    await accounts.start()
    sessions, user_id = accounts.use.sessions, await joined(accounts, database)
    async with database.transaction() as tx:
        token = (await sessions.open(tx, user_id, HERE, "")).refresh_token
    used = 0

    for _ in range(10):
        clock.advance(timedelta(days=20).total_seconds())
        await accounts.use.signing.look()
        async with database.transaction() as tx:
            renewed = await sessions.renew(tx, token, HERE)
        if renewed is None:
            break
        used += 1
        token = renewed.tokens.refresh_token  # type: ignore[union-attr]  # never shown twice here

    assert used == 4  # 20, 40, 60 and 80 days; 90 is the most


async def test_links_end_and_are_forgotten_with_all_that_no_longer_counts(
    database: Database, clock: ManualClock
) -> None:
    accounts = accounts_on(database, clock)
    await accounts.start()
    user_id = await joined(accounts, database)
    async with database.transaction() as tx:
        made = await accounts.use.users.make_link(tx, user_id, LinkKind.RESET)
        await accounts.use.sessions.open(tx, user_id, HERE, "")
    async with accounts.use.logins.checking(EMAIL, "a wrong guess", HERE) as checked:
        assert checked.user is None
    assert await accounts.use.joining.find(made.link.token) is not None

    clock.advance(timedelta(days=200).total_seconds())

    with pytest.raises(NotFound):
        await accounts.use.joining.prepare(made.link.token, "", PASSWORD)
    assert await accounts.prune(clock.now()) == 3
    assert await accounts.prune(clock.now()) == 0


async def test_an_invented_refresh_token_ends_no_session(
    database: Database, clock: ManualClock
) -> None:
    accounts = accounts_on(database, clock)
    await accounts.start()
    sessions, user_id = accounts.use.sessions, await joined(accounts, database)
    async with database.transaction() as tx:
        opened = await sessions.open(tx, user_id, HERE, "")
    invented = opened.refresh_token[:40] + "A" * 40

    async with database.transaction() as tx:
        assert await sessions.renew(tx, invented, HERE) is None
        assert await sessions.renew(tx, opened.refresh_token, HERE) is not None


async def test_another_node_sees_a_new_signing_key_and_what_it_signed(
    database: Database, clock: ManualClock
) -> None:
    one, other = accounts_on(database, clock), accounts_on(database, clock)
    await one.start()
    await other.start()
    user_id = await joined(one, database)
    async with database.transaction() as tx:
        before = await one.use.sessions.open(tx, user_id, HERE, "")
        await one.use.signing.rotate(tx)
    one.use.signing.look_again()
    other.use.signing.look_again()
    await one.use.signing.look()
    async with database.transaction() as tx:
        after = await one.use.sessions.open(tx, user_id, HERE, "")

    for tokens in (before, after):
        assert await other.use.credentials.find(tokens.access_token) is not None
    clock.advance(16 * 60)
    for tokens in (before, after):
        assert await other.use.credentials.find(tokens.access_token) is None


async def test_what_one_node_revokes_the_others_see_when_they_look_again(
    database: Database, clock: ManualClock
) -> None:
    one = accounts_on(database, clock)
    other = accounts_on(database, clock, msgspec.structs.replace(CHEAP, recheck_seconds=0.0))
    await one.start()
    await other.start()
    user_id = await joined(one, database)
    async with database.transaction() as tx:
        opened = await one.use.sessions.open(tx, user_id, HERE, "")
    token = opened.access_token
    assert await one.use.credentials.find(token) == await other.use.credentials.find(token)

    async with database.transaction() as tx:
        await one.use.sessions.revoke(tx, opened.session_id, user_id, "by_owner")
    one.use.credentials.forget()

    assert await one.use.credentials.find(token) is None
    assert await other.use.credentials.find(token) is None
