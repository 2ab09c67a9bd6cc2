"""A bench for the engine's tests: a database with the toy table, and nodes on it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from blockbuster import BlockBuster
from leadflood.engine.db.pool import Database, Settings
from tests.support.engine import Bench, make_toy_table


@pytest.fixture
async def bench(
    database: Database, database_settings: Settings, blockbuster: BlockBuster
) -> AsyncIterator[Bench]:
    for function in blockbuster.functions.values():
        # a logged traceback reads its lines of source, once
        function.can_block_in("linecache.py", "updatecache")
        function.can_block_in("structlog/tracebacks.py", "extract")
        function.can_block_in("structlog/dev.py", "__call__")
    await make_toy_table(database)
    async with AsyncExitStack() as stack:
        yield Bench(database, database_settings, stack)
