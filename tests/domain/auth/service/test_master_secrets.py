"""The master secret of an installation, on a database."""

import msgspec
import pytest
from leadflood.domain.auth.service.master_secrets import MasterSecrets
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Invalid
from tests.support.accounts import (
    CHEAP,
    EMAIL,
    HERE,
    PASSWORD,
    KeptSecret,
    make_accounts,
    register,
    start_accounts,
)
from tests.support.statements import sql
from typing_extensions import override

pytestmark = pytest.mark.pg
UNSET = msgspec.structs.replace(CHEAP, secret="")
OTHER_SECRET = msgspec.structs.replace(CHEAP, secret="t" * 40)


def secrets_of(database: Database, kept: KeptSecret) -> MasterSecrets:
    return MasterSecrets(database, ManualClock(), UNSET, kept)


async def test_all_nodes_of_a_database_need_the_same_secret(
    database: Database, clock: ManualClock
) -> None:
    await start_accounts(database, clock)
    await start_accounts(database, clock)

    with pytest.raises(Conflict, match="LEADFLOOD_ACCOUNTS__SECRET"):
        await start_accounts(database, clock, OTHER_SECRET)


async def test_a_new_database_takes_the_secret_that_its_first_start_makes(
    database: Database,
) -> None:
    kept = KeptSecret(None)

    secret = await secrets_of(database, kept).prove()

    assert secret.derive_key("x") == (await secrets_of(database, kept).prove()).derive_key("x")


async def test_a_lost_secret_is_refused_and_none_is_made_in_its_place(database: Database) -> None:
    await secrets_of(database, KeptSecret()).prove()
    empty = KeptSecret(None)

    with pytest.raises(Conflict, match="suppress rekey") as refusal:
        await secrets_of(database, empty).prove()

    assert refusal.value.error_code == "accounts.secret.missing"
    assert empty.text is None


async def test_half_a_secret_is_refused(database: Database) -> None:
    for half in ("", "s" * 3):
        with pytest.raises(Invalid, match=r"accounts\.secret"):
            await secrets_of(database, KeptSecret(half)).prove()


async def test_adopting_another_secret_ends_all_sessions_and_second_factors(
    database: Database, clock: ManualClock
) -> None:
    before = await start_accounts(database, clock)
    user_id = await register(before, database, clock)
    async with database.transaction() as tx:
        tokens = await before.use.sessions.open(tx, user_id, HERE, "")
        await before.use.own_account.enroll(tx, user_id, tokens.session_id)

    async with database.transaction() as tx:
        await MasterSecrets(database, clock, OTHER_SECRET, KeptSecret()).adopt(tx)
    after = make_accounts(database, clock, OTHER_SECRET)
    await after.start()

    assert await after.use.credentials.find(tokens.access_token) is None
    with pytest.raises(Conflict):
        await start_accounts(database, clock)
    verified = await after.use.login.verify_password(EMAIL, PASSWORD, HERE)
    assert verified.user is not None
    assert verified.user.totp_secret is None


async def test_a_secret_replaced_under_a_running_process_is_noticed(
    database: Database, clock: ManualClock
) -> None:
    running = await start_accounts(database, clock)
    async with database.transaction() as tx:
        await secrets_of(database, KeptSecret()).adopt(tx)

    running.use.signing_keys.mark_stale()

    with pytest.raises(Conflict, match="begun with"):
        await running.use.signing_keys.refresh()


async def test_a_secret_is_not_adopted_while_a_node_works_with_the_former_one(
    database: Database,
) -> None:
    await secrets_of(database, KeptSecret()).prove()
    await database.execute(
        sql(
            "INSERT INTO node (name, started_at, last_beat_at)"
            " VALUES ('n', clock_timestamp(), clock_timestamp())"
        )
    )

    with pytest.raises(Conflict, match="stop them first"):
        async with database.transaction() as tx:
            await secrets_of(database, KeptSecret("o" * 40)).adopt(tx)


async def test_the_secret_in_force_is_not_adopted_again(database: Database) -> None:
    await secrets_of(database, KeptSecret()).prove()

    with pytest.raises(Conflict, match="nothing is lost"):
        async with database.transaction() as tx:
            await secrets_of(database, KeptSecret()).adopt(tx)


class BrokenSecret(KeptSecret):
    """A secret that cannot be read any more."""

    @override
    def read(self) -> str | None:
        if self.text is None:
            raise PermissionError("permission denied")
        return self.text


@pytest.mark.parametrize(
    ("store", "text", "trouble"),
    [
        pytest.param(KeptSecret(), "k" * 64, "", id="as it was"),
        pytest.param(KeptSecret(), None, "is gone from the data folder", id="lost"),
        pytest.param(KeptSecret(), "z" * 64, "is another one now", id="changed"),
        pytest.param(KeptSecret(), "short", "cannot be read any more", id="cut"),
        pytest.param(BrokenSecret(), None, "cannot be read any more", id="not readable"),
    ],
)
async def test_what_becomes_of_the_secret_under_a_running_node_is_noticed(
    database: Database, store: KeptSecret, text: str | None, trouble: str
) -> None:
    secrets = secrets_of(database, store)
    await secrets.prove()

    store.text = text

    assert trouble in await secrets.find_trouble()
    assert bool(await secrets.find_trouble()) == bool(trouble)
    await secrets.check()  # what it has proved stays in force in it
