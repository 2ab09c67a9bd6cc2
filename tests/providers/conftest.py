from collections.abc import AsyncIterator

import aiohttp
import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.net.call import Http

from tests.support.gate import DirectGate, PlainHttp


@pytest.fixture
def gate() -> DirectGate:
    return DirectGate()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with aiohttp.ClientSession() as session:
        yield PlainHttp(session)
