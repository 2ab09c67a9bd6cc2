"""A small pretend world on free ports."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from leadflood.engine.clock import Clock, ManualClock
from leadflood.sandbox.population import Population
from leadflood.sandbox.world import WorldConfig, serve

from tests.sandbox.caller import Caller

Open = Callable[..., AbstractAsyncContextManager[Caller]]


@pytest.fixture
def open_world(tmp_path: Path) -> Open:
    """Open a world of 2,000 people under a manual clock; settings as keywords."""

    @asynccontextmanager
    async def open_one(clock: Clock | None = None, **settings: Any) -> AsyncIterator[Caller]:
        chosen: dict[str, Any] = {"folder": str(tmp_path), "people_count": 2_000} | settings
        config = WorldConfig(**chosen)
        async with serve(config, clock or ManualClock()) as addresses:
            timeout = aiohttp.ClientTimeout(total=20)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                yield Caller(addresses, session)

    return open_one


@pytest.fixture
async def world(open_world: Open) -> AsyncIterator[Caller]:
    """A world with nothing special."""
    async with open_world() as caller:
        yield caller


@pytest.fixture(scope="session")
def population() -> Population:
    """The people of that world."""
    return Population(7, 2_000)
