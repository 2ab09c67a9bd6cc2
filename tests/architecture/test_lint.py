"""Lint, form and types of the whole tree, so that plain `pytest` is the whole gate."""

import subprocess
import sys

import pytest
from tests.support.tree import ROOT


@pytest.mark.parametrize(
    "words",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy", "--no-error-summary")],
    ids=["ruff check", "ruff format", "mypy"],
)
def test_the_tree_passes(words: tuple[str, ...]) -> None:
    ended = subprocess.run(  # noqa: S603 - our own tools
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout[-6_000:] + ended.stderr[-2_000:]
