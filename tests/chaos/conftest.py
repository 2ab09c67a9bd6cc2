"""The product runs in processes of its own here; this one only starts, kills and counts."""

from collections.abc import Iterator

import pytest

from tests.support.chaos import Nursery, open_nursery


@pytest.fixture(autouse=True)
def blockbuster() -> None:
    """Let the test's own process read and write small files."""


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where workers and worlds come from."""
    with open_nursery() as opened:
        yield opened
