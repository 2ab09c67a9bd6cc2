"""`docs/promises.md` names tests by the ids that pytest knows."""

import ast
from collections.abc import Iterator
from functools import cache

from tests.mutation.table import PROMISES, read_promises
from tests.support.tree import ROOT


def test_every_test_that_holds_a_promise_exists() -> None:
    named = [test for promise in read_promises() for test in promise.tests]

    missing = [test for test in named if test not in ids_of_tests(test.partition("::")[0])]

    assert len(named) > 150
    assert not missing


def test_no_promise_stands_without_a_test() -> None:
    promises = read_promises()

    assert len(promises) == PROMISES.read_text("utf-8").count("\n- **")
    assert all(promise.tests for promise in promises)


@cache
def ids_of_tests(path: str) -> frozenset[str]:
    """Return the ids of a file's tests, without their parameters."""
    file = ROOT / path
    if not file.exists():
        return frozenset()
    return frozenset(f"{path}::{name}" for name in _names(ast.parse(file.read_text("utf-8"))))


def _names(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    for child in node.body:
        if isinstance(child, ast.ClassDef):
            yield from (f"{child.name}::{name}" for name in _names(child))
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child.name
