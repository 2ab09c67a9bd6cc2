"""The checks that run beside the tests do run, and a failure of theirs is seen."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.support.lint import COMMANDS, CheckResult, Checks
from tests.support.tree import ROOT

SHELL = {
    "test_good": ("echo", "fine"),
    "test_bad": ("sh", "-c", "echo no >&2; exit 3"),
    "test_slow": ("sleep", "600"),
}


@pytest.fixture
def checks(tmp_path: Path) -> Iterator[Checks]:
    running = Checks(tmp_path / "checks", SHELL)
    running.folder.mkdir()
    yield running
    running.stop()


def test_a_selected_check_runs_and_another_does_not(checks: Checks) -> None:
    checks.start(["tests/test_a.py::test_good", "tests/test_b.py::test_other"])

    assert checks.wait_for("test_good") == CheckResult(0, "fine\n")
    assert [path.name for path in checks.folder.glob("*.out")] == ["test_good.out"]


def test_a_failure_is_told_with_what_was_printed(checks: Checks) -> None:
    checks.start(["tests/test_a.py::test_bad"])

    assert checks.wait_for("test_bad") == CheckResult(3, "no\n")


def test_no_check_outlives_its_session(checks: Checks) -> None:
    checks.start(["tests/test_a.py::test_slow"])

    checks.stop()

    commands = [child.as_dict(["cmdline"])["cmdline"] for child in psutil.Process().children()]
    assert not [command for command in commands if command and "test_slow" in command]
    assert not checks.folder.exists()


def test_every_check_is_a_test_that_carries_the_mark() -> None:
    marked = {
        name
        for path in (ROOT / "tests" / "architecture").glob("test_*.py")
        if "pytestmark = pytest.mark.lint" in (text := path.read_text("utf-8"))
        for name in COMMANDS
        if f"def {name}(check_result: CheckResult)" in text
    }

    assert marked == COMMANDS.keys()
