"""Lint and form of the whole tree, so that plain `pytest` is the whole gate."""

import pytest
from tests.support.lint import CheckResult

pytestmark = pytest.mark.lint


def test_ruff_finds_nothing(ended_check: CheckResult) -> None:
    assert ended_check.code == 0, ended_check.output[-6_000:]


def test_the_tree_is_formatted(ended_check: CheckResult) -> None:
    assert ended_check.code == 0, ended_check.output[-6_000:]
