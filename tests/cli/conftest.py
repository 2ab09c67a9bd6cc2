"""Commands on a database of their own."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from leadflood.engine.db.pool import Database, Settings, open_database
from tests.support.cli import Cli
from tests.support.db import TestServer, cloned_database

OnDatabase = Callable[[Callable[[Database], Awaitable[Any]]], Any]


@pytest.fixture(autouse=True)
def blockbuster() -> None:
    """Allow blocking calls: a command has the loop to itself, and reads and writes files."""


@pytest.fixture
def database_settings(database_server: TestServer) -> Iterator[Settings]:
    """A fresh clone for tests that are not async: a command runs its own loop."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(cloned_database(database_server)) as settings,
    ):
        yield settings


@pytest.fixture
def cli(
    database_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    """Commands on a migrated clone; the settings file and keys of the machine are not seen."""
    monkeypatch.delenv("LEADFLOOD_CONFIG", raising=False)
    environment = {
        "DATABASE_URL": database_settings.url,
        "LEADFLOOD_DATA": str(tmp_path / "data"),
        "LEADFLOOD_HTTP__PORT": "9",
        "LEADFLOOD_ENGINE__HEARTBEAT__BEAT_SECONDS": "0.2",
        "LEADFLOOD_ENGINE__MAINTENANCE__RUNS_SECONDS": "0.1",
    }
    return Cli(environment, monkeypatch, capsys)


@pytest.fixture
def on_database(database_settings: Settings) -> OnDatabase:
    """Run work on the same database, from a test that is not async."""

    def execute(work: Callable[[Database], Awaitable[Any]]) -> Any:
        async def opened() -> Any:
            async with open_database(database_settings) as database:
                return await work(database)

        return anyio.run(opened)

    return execute
