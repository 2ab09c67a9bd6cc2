from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from leadflood.engine.db.errors import DatabaseRefused
from leadflood.engine.db.pool import Settings
from leadflood.engine.db.server_checks import ServerFacts, inspect, require_usable
from tests.support.db import TestServer
from tests.support.pooler import transaction_pooler


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


async def test_a_transaction_pooler_is_refused(database_settings: Settings) -> None:
    url = urlsplit(database_settings.url)
    folder = parse_qs(url.query)["host"][0]

    async with transaction_pooler(f"{folder}/.s.PGSQL.5432") as port:
        through = Settings(url=f"postgresql://leadflood@127.0.0.1:{port}{url.path}")
        with pytest.raises(DatabaseRefused, match="session mode") as refused:
            await require_usable(through)

    assert refused.value.error_code == "database.pooled"
