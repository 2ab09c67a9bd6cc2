"""A bench for the engine's tests: a database with the toy table, and nodes on it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from leadflood.engine.db.pool import Database, Settings
from tests.support.engine import Bench, make_toy_table


@pytest.fixture
async def bench(database: Database, database_settings: Settings) -> AsyncIterator[Bench]:
    await make_toy_table(database)
    async with AsyncExitStack() as stack:
        yield Bench(database, database_settings, stack)
