"""The source tree as the tests of the architecture read it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "leadflood"


def sources(folder: Path = PACKAGE) -> list[Path]:
    """List the Python files below a folder."""
    return sorted(path for path in folder.rglob("*.py") if "_shipped" not in path.parts)


def query_files() -> list[Path]:
    """List every `queries.sql` of the product."""
    return sorted(path for path in PACKAGE.rglob("queries.sql") if "_shipped" not in path.parts)


def name_of(path: Path) -> str:
    """Return a file's path from the root of the tree."""
    return path.relative_to(ROOT).as_posix()


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """List a file's string literals with their lines; docstrings are not among them."""
    tree = ast.parse(path.read_text("utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docs:
            yield node.lineno, node.value  # type: ignore[attr-defined]


def identifiers(path: Path) -> Iterator[tuple[int, str]]:
    """List a file's names: of variables, attributes, functions, classes and arguments."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        for field in ("id", "attr", "name", "arg"):
            if isinstance(named := getattr(node, field, None), str):
                yield getattr(node, "lineno", 0), named


def words(text: str) -> set[str]:
    """List the words of a name or text: `LeadScored` and `lead_scored` both hold `lead`."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    return {word.lower() for word in re.findall(r"[A-Za-z]+", split)}
