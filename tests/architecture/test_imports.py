"""Who may import whom: the contracts in pyproject."""

import pytest
from tests.support.lint import CheckResult

pytestmark = pytest.mark.lint


def test_the_import_contracts_are_kept(check_result: CheckResult) -> None:
    assert check_result.code == 0, check_result.output[-6_000:]
