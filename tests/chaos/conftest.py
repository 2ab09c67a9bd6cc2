"""Fixtures of chaos: the product runs in child processes; this one starts, kills and counts."""

from collections.abc import Iterator

import pytest

from tests.support.chaos import Nursery, open_nursery


@pytest.fixture(autouse=True)
def blockbuster() -> None:
    """Allow blocking calls: the test's process reads and writes small files."""


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """The nursery of workers and worlds."""
    with open_nursery() as started:
        yield started
