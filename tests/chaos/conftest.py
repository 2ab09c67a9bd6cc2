"""The product runs in processes of its own here; this one only starts, kills and counts."""

import pytest


@pytest.fixture(autouse=True)
def blockbuster() -> None:
    """Let the test's own process read and write small files."""
