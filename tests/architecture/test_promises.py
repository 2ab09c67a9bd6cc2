"""`docs/promises.md` names tests that exist."""

import re

from tests.support.tree import ROOT

PAGE = ROOT / "docs" / "promises.md"


def test_every_test_that_holds_a_promise_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.read_text("utf-8"))

    missing = [
        f"{path}::{test}"
        for path, test in named
        if not (ROOT / path).exists()
        or not re.search(rf"def {test}\(", (ROOT / path).read_text("utf-8"))
    ]

    assert len(named) > 150
    assert not missing


def test_no_promise_stands_without_a_test() -> None:
    lines = PAGE.read_text("utf-8").splitlines()

    assert not [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("- **") and not following.startswith("  - `")
    ]
