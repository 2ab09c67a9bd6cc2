"""Who may import whom: the contracts in pyproject."""

import pytest
from tests.support.lint import CheckResult

pytestmark = pytest.mark.lint


def test_the_import_contracts_are_kept(ended_check: CheckResult) -> None:
    assert ended_check.code == 0, ended_check.output[-6_000:]
