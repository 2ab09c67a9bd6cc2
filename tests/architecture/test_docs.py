"""The pages speak of the tree as it is: its paths, its folders, and of nobody as he."""

import re
from pathlib import Path

import pytest
from tests.support.tree import PACKAGE, ROOT, name_of

README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"```.*?```", re.DOTALL)
NAMED_PATH = re.compile(
    r"`((?:[\w.-]+/)*[\w.-]+(?:\.(?:py|sql|toml|md|json|env|mako)|/))(?:::\w+)?`"
)
PRONOUN = re.compile(r"\b(?:he|him|his|himself|she|her|hers|herself)\b", re.IGNORECASE)
WRITTEN_BY_RECIPES = re.compile(r"^`([\w/]+\.py)`:$", re.MULTILINE)
PARTS = re.compile(r"`([\w./]+?)/?`")


def is_there(named: str, coming: set[str]) -> bool:
    """Whether a path leads somewhere from the root or the package; a bare name, anywhere in it."""
    if named in coming or any((home / named).exists() for home in (ROOT, PACKAGE)):
        return True
    return "/" not in named and any(PACKAGE.rglob(named))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    recipes = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    written = set(WRITTEN_BY_RECIPES.findall(recipes))
    coming = written | {name.removeprefix("leadflood/") for name in written}
    text = CODE.sub("", page.read_text("utf-8"))

    missing = {named for named in NAMED_PATH.findall(text) if not is_there(named, coming)}

    assert not missing


def test_every_test_that_the_continuous_integration_names_exists() -> None:
    named = re.findall(r"tests/[\w/*.]+", (ROOT / ".ci" / "lowest").read_text("utf-8"))

    assert len(named) > 10
    assert not [pattern for pattern in named if not any(ROOT.glob(pattern))]


def test_the_folder_table_of_readme_is_the_tree() -> None:
    table = README.read_text("utf-8").partition("## Folders\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name.removeprefix("leadflood/") for cell in cells for name in PARTS.findall(cell)}
    parts = {path.name for path in PACKAGE.iterdir() if not path.name.startswith("_")}

    assert named == parts | {"config", "migrations", "tests", "benchmarks", "docs"}


def test_a_path_that_leads_nowhere_is_seen() -> None:
    assert NAMED_PATH.findall("`engine/db/gone.py` and `leadflood/domain/`") == [
        "engine/db/gone.py",
        "leadflood/domain/",
    ]
    assert is_there("leadflood/domain/", set())
    assert is_there("queries.sql", set())
    assert not is_there("engine/db/gone.py", set())
    assert not is_there("gone.py", set())


def test_readme_lists_the_slices() -> None:
    (row,) = re.findall(
        r"^\| `leadflood/domain/` \| .*: (.*) \|$", README.read_text("utf-8"), re.MULTILINE
    )
    slices = {path.parent.name for path in (PACKAGE / "domain").glob("*/__init__.py")}

    assert set(row.split(", ")) == slices


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "config").glob("*.*"))], ids=name_of)
def test_no_page_takes_a_person_for_a_man_or_a_woman(page: Path) -> None:
    assert not PRONOUN.findall(page.read_text("utf-8"))
