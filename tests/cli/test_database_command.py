"""Commands that work on a database make none: a wrong folder is told, not filled."""

from pathlib import Path

import pytest
from tests.support.cli import Cli

COMMANDS = (
    ("suppress", "add", "address", "stop.me@acme.example"),
    ("sending", "hold"),
    ("status",),
    ("migrate", "status"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_in_a_folder_without_a_database_says_so_and_makes_none(
    cli: Cli, tmp_path: Path, command: tuple[str, ...]
) -> None:
    folder = tmp_path / "elsewhere"

    refusal = cli(*command, DATABASE_URL="", LEADFLOOD_DATA=str(folder))

    assert refusal.code == 1
    assert "database.missing" in refusal.err
    assert "LEADFLOOD_DATA" in refusal.err
    assert not folder.exists()
