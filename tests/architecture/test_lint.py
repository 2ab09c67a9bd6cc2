"""Lint and form of the whole tree, so that plain `pytest` is the whole gate."""

import pytest
from tests.support.lint import CheckResult

pytestmark = pytest.mark.lint


def test_ruff_finds_nothing(check_result: CheckResult) -> None:
    assert check_result.code == 0, check_result.output[-6_000:]


def test_the_tree_is_formatted(check_result: CheckResult) -> None:
    assert check_result.code == 0, check_result.output[-6_000:]
