"""Every error has a stable code of its own, a sentence, and one meaning over HTTP."""

import ast
import importlib
import pkgutil
import re
from collections import Counter

import leadflood
import pytest
from leadflood.api.http.problems import HttpRefused, verdict_of
from leadflood.engine.errors import Bug, LeadfloodError
from leadflood.engine.queue.outcome import Cancelled
from tests.support.tree import name_of, sources

CODE = re.compile(r"^[a-z]+(?:[._][a-z0-9]+)*\.[a-z0-9_.]+$")
SPECIAL = {
    LeadfloodError,  # the root is never raised
    Bug,  # 500, with nothing told
    HttpRefused,  # carries its own status
    Cancelled,  # an outcome of a job, never of a request
}


def _classes() -> list[type[LeadfloodError]]:
    for module in pkgutil.walk_packages(leadflood.__path__, "leadflood."):
        if "._shipped" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, waiting = [], [LeadfloodError]
    while waiting:
        found.append(one := waiting.pop())
        waiting.extend(one.__subclasses__())
    return sorted(
        (one for one in set(found) if one.__module__.startswith("leadflood.")),
        key=lambda one: one.__qualname__,
    )


CLASSES = _classes()


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_an_error_has_a_code_of_its_own_and_a_sentence(one: type[LeadfloodError]) -> None:
    assert "code" in vars(one), "a class without a code cannot be told from its parent"
    assert CODE.match(one.code), one.code
    assert one.__doc__


def test_no_two_errors_share_a_code() -> None:
    counts = Counter(one.code for one in CLASSES)

    assert not [code for code, count in counts.items() if count > 1]


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_an_error_has_one_status(one: type[LeadfloodError]) -> None:
    if one in SPECIAL:
        return
    error = one.__new__(one)
    Exception.__init__(error, "x")

    assert verdict_of(error).status in range(400, 600)
    assert verdict_of(error).status != 500


def test_codes_given_where_an_error_is_raised_are_stable_words() -> None:
    odd = [
        f"{name_of(path)}:{node.lineno}: {keyword.value.value!r}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "code"
        and isinstance(keyword.value, ast.Constant)
        and isinstance(keyword.value.value, str)
        if not CODE.match(keyword.value.value)
    ]

    assert not odd
