"""Types of the whole tree; they take minutes, so alone in a file (`tests/support/lint.py`)."""

import pytest
from tests.support.lint import CheckResult

pytestmark = pytest.mark.lint


def test_the_types_hold(ended_check: CheckResult) -> None:
    assert ended_check.code == 0, ended_check.output[-6_000:]
