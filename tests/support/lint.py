"""Lint beside the tests: the plugin of pytest that runs the checks as processes of their own.

A check is a test like any other (`-m lint` selects it, its failure is a failure), but mypy is no
work for one of the workers: what the selected checks run starts as soon as the tests are collected,
beside the workers. The checks come last, when it has most often ended.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.tree import ROOT

COMMANDS = {
    "test_ruff_finds_nothing": (sys.executable, "-m", "ruff", "check", "."),
    "test_the_tree_is_formatted": (sys.executable, "-m", "ruff", "format", "--check", "."),
    "test_the_import_contracts_are_kept": (
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
    ),
    "test_the_types_hold": (sys.executable, "-m", "mypy", "--no-error-summary"),
}
"""What each test of the mark `lint` runs."""
PATIENCE_SECONDS = 1_200
_POLL_SECONDS = 0.2
# The exit code is written last and in one go: where it stands, the check has ended. Nothing waits
# for a check while tests wait on time-outs, so it gives way to them.
_SCRIPT = 'nice -n 5 "$@" > "$0.out" 2>&1; echo $? > "$0.tmp"; mv "$0.tmp" "$0.code"'


class CheckResult(msgspec.Struct, frozen=True):
    """How a check ended, and what it printed."""

    code: int
    output: str


class Checks:
    """The checks of one session; its folder holds what they print, for the workers to read."""

    def __init__(self, folder: Path, commands: Mapping[str, Sequence[str]] = COMMANDS) -> None:
        self.folder = folder
        self._commands = commands
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, nodeids: Iterable[str]) -> None:
        """Start the checks among the selected tests, each once."""
        selected = {nodeid.rpartition("::")[2] for nodeid in nodeids}
        for name in self._commands.keys() & selected - self._processes.keys():
            self._processes[name] = self._run(name, self._commands[name])

    def _run(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own tools
            ["/bin/sh", "-c", _SCRIPT, str(self.folder / name), *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait_for(self, name: str) -> CheckResult:
        """Return how a check ended. Raises: TimeoutError."""
        code = self.folder / f"{name}.code"
        for _ in range(int(PATIENCE_SECONDS / _POLL_SECONDS)):
            if code.exists():
                output = (self.folder / f"{name}.out").read_text("utf-8", errors="replace")
                return CheckResult(int(code.read_text("ascii")), output)
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"{name} has not ended after {PATIENCE_SECONDS} s")

    def stop(self) -> None:
        """End what still runs, as after Ctrl-C, and remove what was printed."""
        for process in self._processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


CHECKS = pytest.StashKey[Checks]()


@pytest.fixture
def check_result(request: pytest.FixtureRequest) -> CheckResult:
    """Wait for what the test that asks runs."""
    return request.config.stash[CHECKS].wait_for(request.node.name)


def _worker_input(config: pytest.Config) -> dict[str, Any] | None:
    """Return what a worker was given; None in the session itself."""
    return getattr(config, "workerinput", None)


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder: a worker is given that of its session."""
    worker_input = _worker_input(config)
    folder = (
        worker_input["lint_folder"] if worker_input else tempfile.mkdtemp(prefix="leadflood-lint-")
    )
    config.stash[CHECKS] = Checks(Path(folder))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the checks with the session."""
    if _worker_input(config) is None:
        config.stash[CHECKS].stop()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the checks last."""
    items.sort(key=lambda item: item.get_closest_marker("lint") is not None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the selected checks of a session without workers."""
    if _worker_input(session.config) is None and not session.config.option.collectonly:
        session.config.stash[CHECKS].start(item.nodeid for item in session.items)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the folder to a worker."""
    node.workerinput["lint_folder"] = str(node.config.stash[CHECKS].folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    """Start the selected checks beside the workers."""
    node.config.stash[CHECKS].start(ids)
