"""Whose leads a caller sees is one value: made at authentication, applied in repositories."""

import ast
from pathlib import Path

from tests.support.tree import PACKAGE, identifiers, name_of, sources

READERS = {
    "leadflood/api/http/request_context.py",
    "leadflood/api/http/event_permissions.py",
    # shows a caller what they see
    "leadflood/api/routes/auth.py",
}
"""The edge passes a caller's visibility on; these alone look into it."""
NAMES = {"sees_owner", "Visibility"}
PARTS = {"owner", "owner_id", "is_limited", "allows"}


def looks_into_visibility(path: Path) -> bool:
    """Whether a file names the type, or takes a part of a `visibility`."""
    if NAMES & {name for _, name in identifiers(path)}:
        return True
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in PARTS
        and terminal(node.value) == "visibility"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    )


def terminal(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def test_the_edge_passes_visibility_on_and_does_not_look_into_it() -> None:
    reading = {name_of(path) for path in sources(PACKAGE / "api") if looks_into_visibility(path)}

    assert reading == READERS
    assert len(READERS) <= 3


def test_a_file_that_looks_into_it_is_seen(tmp_path: Path) -> None:
    passing, reading = tmp_path / "passing.py", tmp_path / "reading.py"
    passing.write_text("service.list(caller.visibility)")
    reading.write_text("service.list(owner=caller.visibility.owner)")

    assert not looks_into_visibility(passing)
    assert looks_into_visibility(reading)
