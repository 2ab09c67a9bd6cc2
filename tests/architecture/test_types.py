"""Types of the whole tree; they take minutes, so alone in a file (`tests/support/lint.py`)."""

import pytest
from tests.support.lint import CheckResult

pytestmark = pytest.mark.lint


def test_the_types_hold(check_result: CheckResult) -> None:
    assert check_result.code == 0, check_result.output[-6_000:]
