from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest
from leadflood.engine.db import pool
from leadflood.engine.db.errors import DatabaseRefused, SessionLost
from leadflood.engine.db.pool import Settings, open_database
from leadflood.engine.db.server_checks import ServerFacts, inspect, require_usable
from tests.support.db import TestServer
from tests.support.pooler import session_pooler, transaction_pooler
from tests.support.statements import sql


def facts(**over: object) -> ServerFacts:
    """A server as it should be."""
    sound = ServerFacts(
        version_number=180_004,
        version="18.4",
        encoding="UTF8",
        fsync=True,
        full_page_writes=True,
        synchronous_commit="on",
        system_identifier=7,
        timeline=1,
        database_oid=5,
        in_recovery=False,
    )
    return msgspec.structs.replace(sound, **over)


async def test_the_facts_of_a_server_are_read(database_settings: Settings) -> None:
    facts = await inspect(database_settings)

    assert facts.version_number >= 150_000
    assert facts.encoding == "UTF8"
    assert facts.synchronous_commit == "on"
    assert not facts.fsync  # the tests' own server
    assert facts.system_identifier != 0
    assert facts.timeline == 1
    assert facts.database_oid > 0
    assert not facts.in_recovery


async def test_two_databases_of_a_server_differ_in_their_oid(
    database_server: TestServer, database_settings: Settings
) -> None:
    first = await inspect(database_settings)
    second = await inspect(database_server.settings("postgres"))

    assert first.database_oid != second.database_oid
    assert first.system_identifier == second.system_identifier


def test_a_sound_server_has_neither_obstacles_nor_dangers() -> None:
    assert not facts().obstacles()
    assert not facts().dangers()


@pytest.mark.parametrize(
    ("over", "word"),
    [
        ({"version_number": 140_010, "version": "14.10"}, "too old"),
        ({"encoding": "SQL_ASCII"}, "UTF8"),
        ({"in_recovery": True}, "primary"),
    ],
)
def test_an_unusable_server_is_refused_with_the_cure(over: dict[str, object], word: str) -> None:
    assert word in facts(**over).obstacles()[0]


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_a_server_that_may_forget_is_a_danger(name: str) -> None:
    assert name in facts(**{name: False}).dangers()[0]


async def test_a_server_of_ones_own_may_be_used(database_settings: Settings) -> None:
    assert (await require_usable(database_settings)).version_number >= 150_000


def socket_of(settings: Settings) -> str:
    return f"{parse_qs(urlsplit(settings.url).query)['host'][0]}/.s.PGSQL.5432"


def through(port: int, settings: Settings, **parameters: str) -> Settings:
    """Reach the same database by a pooler."""
    url = f"postgresql://leadflood@127.0.0.1:{port}{urlsplit(settings.url).path}"
    return Settings(url=f"{url}?{urlencode(parameters)}" if parameters else url)


async def test_a_transaction_pooler_is_refused(database_settings: Settings) -> None:
    async with transaction_pooler(socket_of(database_settings)) as port:
        with pytest.raises(
            DatabaseRefused, match=r"transaction mode.*pool_mode = session"
        ) as refused:
            await require_usable(through(port, database_settings))

    assert refused.value.error_code == "database.pooled"


async def test_a_session_pooler_may_be_used_and_every_limit_of_time_holds(
    database_settings: Settings,
) -> None:
    limits = sql(
        "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'),"
        " current_setting('idle_in_transaction_session_timeout'),"
        " current_setting('synchronous_commit')"
    )
    async with session_pooler(socket_of(database_settings)) as port:
        pooled = through(port, database_settings)

        assert (await require_usable(pooled)).version_number >= 150_000
        async with open_database(pooled) as database:
            row = await database.fetch_one(limits)

    assert row is not None
    assert tuple(row) == ("10s", "1min", "30s", "on")


async def test_a_start_up_parameter_that_a_pooler_refuses_is_named(
    database_settings: Settings,
) -> None:
    async with session_pooler(socket_of(database_settings)) as port:
        asking = through(port, database_settings, geqo="off")
        with pytest.raises(DatabaseRefused, match=r"geqo.*out of DATABASE_URL") as refused:
            await require_usable(asking)

    assert refused.value.error_code == "database.parameter"


async def test_a_session_that_keeps_nothing_is_refused(
    database_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignore = sql("SELECT $1::text[], $2::text[]", "names", "values")
    monkeypatch.setattr(pool.SQL, "set_session_settings", ignore)

    with pytest.raises(SessionLost, match="lock_timeout is 0"):
        await require_usable(database_settings)
