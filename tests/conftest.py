"""What every test may ask for: a database of its own, and a loop that nothing may block."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import hypothesis
import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from leadflood.engine.db.pool import Database, Settings, open_database

from tests.support.db import TestServer, cloned_database, make_template, running_server
from tests.support.tree import ROOT

pytest_plugins = ["tests.support.lint"]

# tests start many processes: where compiled modules are not kept, each begins a second later
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # noqa: TID251 - of the tests, no setting

# how long an example takes says how busy the machine is, not whether the code is right
hypothesis.settings.register_profile(
    "leadflood", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("leadflood")

PROCESS_FOLDERS = ("chaos", "packaging", "cli", "benchmarks", "architecture")
"""The folders whose tests start processes and wait for them, the longest first."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the long files: one that a worker begins last is waited for by the other."""
    if hasattr(config, "workerinput"):
        items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    return PROCESS_FOLDERS.index(folder) if folder in PROCESS_FOLDERS else len(PROCESS_FOLDERS)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail a test in which the product, not the test itself, blocks the loop."""
    with blockbuster_ctx("leadflood") as watching:
        # alembic has a loop of its own; files that a library reads once; a file of passwords
        for function in watching.functions.values():
            function.can_block_in("leadflood/engine/db/alembic_runner.py", "_with_config")
            function.can_block_in("leadflood/engine/package_files.py", "package_folder")
            function.can_block_in("normalization/country_names.py", "_read_names")
            function.can_block_in("asyncpg/connect_utils.py", "_parse_connect_dsn_and_args")
            function.can_block_in("tldextract/tldextract.py", "_get_tld_extractor")
            function.can_block_in("<frozen importlib._bootstrap>", "_find_and_load")
        yield watching


@pytest.fixture(scope="session")
def database_server() -> Iterator[TestServer]:
    """The session's embedded server, with the migrated template."""
    with running_server() as server:
        anyio.run(make_template, server)
        yield server


@pytest.fixture
async def database_settings(database_server: TestServer) -> AsyncIterator[Settings]:
    """A fresh clone, as settings: for tests that open their own connections."""
    async with cloned_database(database_server) as settings:
        yield settings


@pytest.fixture
async def database(database_settings: Settings) -> AsyncIterator[Database]:
    """A pool on a fresh clone of the migrated template."""
    async with open_database(database_settings) as opened:
        yield opened


@pytest.fixture
def database_url(database_settings: Settings) -> str:
    """The URL of the same clone as `database`, for processes that a test starts."""
    return database_settings.url
