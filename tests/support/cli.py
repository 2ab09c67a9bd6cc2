"""The real command: in this process, which is quick, or in its own."""

import csv
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from leadflood.cli.root import main

CSV = Path(__file__).parent.parent / "domain" / "imports" / "data"
CSV_DATA = Path(__file__).parent.parent / "domain" / "imports" / "data"
EXAMPLE_ICP = Path(__file__).parent.parent.parent / "config" / "icp.example.toml"


class CommandResult(msgspec.Struct, frozen=True):
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out.splitlines()[-1])


class Cli:
    """Runs commands against one database and data folder."""

    def __init__(
        self,
        environment: Mapping[str, str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.environment = dict(environment)
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: object, **environment: str) -> CommandResult:
        """Run a command in this process; an exception that leaves it fails the test."""
        self._capsys.readouterr()
        with self._monkeypatch.context() as patch:
            for name, value in (self.environment | environment).items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["leadflood", *map(str, words)])
            try:
                main()
                code = 0
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else 1
            finally:
                structlog.reset_defaults()
        captured = self._capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    def start(self, *words: object, **environment: str) -> subprocess.Popen[str]:
        """Start a command as a process of its own, in a session of its own."""
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "leadflood", *map(str, words)],
            env=inherited_environment() | self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: object, **environment: str) -> CommandResult:
        """Run a command as a process of its own."""
        with self.start(*words, **environment) as process:
            out, err = process.communicate(timeout=60)
        return CommandResult(process.returncode, out, err)


def inherited_environment() -> dict[str, str]:
    """Return the environment of this process without our settings."""
    hidden = ("DATABASE_URL", "LEADFLOOD_")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}  # noqa: TID251 - a child's environment is not a setting


def write_lines(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    """Read a CSV file that a command wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
