from collections.abc import AsyncIterator

import pytest
from leadflood.engine.net.calls import Http
from leadflood.engine.net.client import open_client
from tests.support.gate import DirectGate


@pytest.fixture
def gate() -> DirectGate:
    return DirectGate()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with open_client() as client:
        yield client
