import pytest
from leadflood.engine.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
