"""A start imports what it needs: every command and every container waits for it."""

import subprocess
import sys

SLOW = ("alembic", "openai", "sklearn", "sqlalchemy")
"""Packages that take half a second or more and that few starts need."""


def test_slow_packages_are_imported_on_first_use() -> None:
    code = "import sys, leadflood.app, leadflood.cli; print(*sys.modules)"

    loaded = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()

    assert "leadflood.app" in loaded
    assert [name for name in SLOW if name in loaded] == []
