"""The engine knows no lead; the tests mirror the tree."""

import re
from pathlib import Path

import pytest
from leadflood.providers.catalog import CATALOG
from tests.support.tree import (
    PACKAGE,
    ROOT,
    identifiers,
    name_of,
    query_files,
    sources,
    texts,
    words,
)

DOMAIN_WORDS = words(
    "lead leads company companies prospect prospects email emails icp icps enrichment enriched "
    "discovery discovered scoring scored campaign campaigns inbox crm whatsapp outreach apollo "
    "hunter pdl trengo openai"
)
SPOKEN_OF = {
    # what a run allows for each of its subjects is a lead's cap (DESIGN §3.7)
    "leadflood/engine/queue/runs.py": {"lead"},
    "leadflood/engine/queue/queries.sql": {"lead"},
    "leadflood/engine/ledger/budget_scopes.py": {"lead", "leads"},
    "leadflood/engine/ledger/repository.py": {"lead", "leads"},
    "leadflood/engine/ledger/queries.sql": {"lead"},
    # the time by which something is ahead
    "leadflood/engine/net/limiter.py": {"lead"},
    "leadflood/engine/net/gcra.py": {"lead"},
}
VENDORS = frozenset(CATALOG)
PLACES_OF_VENDORS = ("leadflood/providers/", "leadflood/sandbox/")
VENDORS_SPOKEN_OF = {
    # whose exports and words are read: the sources of two tables
    "leadflood/domain/imports/rules/column_mapping.py": {"apollo"},
    "leadflood/domain/features/rules/job_titles.py": {"apollo", "pdl"},
    # the protocol that the pretend mail server speaks
    "leadflood/cli/sandbox.py": {"smtp"},
}
TEST_FOLDERS_OF_THEIR_OWN = {"architecture", "chaos", "packaging", "support", "benchmarks"}


@pytest.mark.parametrize("path", sources(PACKAGE / "engine"), ids=name_of)
def test_the_engine_knows_no_lead(path: Path) -> None:
    spoken = SPOKEN_OF.get(name_of(path), set())

    found = {
        f"{name_of(path)}:{line}: {text[:60]!r} says {sorted(said)}"
        for line, text in (*identifiers(path), *texts(path))
        if (said := (words(text) & DOMAIN_WORDS) - spoken)
    }

    assert not found


@pytest.mark.parametrize(
    "path", [path for path in query_files() if "engine" in path.parts], ids=name_of
)
def test_the_queries_of_the_engine_know_no_lead(path: Path) -> None:
    text = re.sub(r"--[^\n]*", "", path.read_text("utf-8"))

    assert not (words(text) & DOMAIN_WORDS) - SPOKEN_OF.get(name_of(path), set())


@pytest.mark.parametrize("path", [*sources(), *query_files()], ids=name_of)
def test_only_providers_and_the_sandbox_name_vendors(path: Path) -> None:
    if name_of(path).startswith(PLACES_OF_VENDORS):
        return
    named = words(path.read_text("utf-8")) & VENDORS

    assert named == VENDORS_SPOKEN_OF.get(name_of(path), set())


def test_tests_stand_where_the_code_stands() -> None:
    strays = [
        name_of(path)
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.relative_to(ROOT / "tests").parts[0] not in TEST_FOLDERS_OF_THEIR_OWN
        if not (PACKAGE / path.relative_to(ROOT / "tests").parent).is_dir()
    ]

    assert not strays


def test_every_folder_of_the_engine_and_every_slice_has_tests() -> None:
    folders = [
        folder
        for parent in (PACKAGE / "engine", PACKAGE / "domain")
        for folder in parent.iterdir()
        if (folder / "__init__.py").exists()
    ]

    untested = [
        name_of(folder)
        for folder in folders
        if not list((ROOT / "tests" / folder.relative_to(PACKAGE)).rglob("test_*.py"))
    ]

    assert not untested


def test_no_file_is_called_after_nothing() -> None:
    empty_names = {"utils", "helpers", "common", "base", "manager", "misc", "data", "info"}

    assert not [name_of(path) for path in sources() if path.stem in empty_names]
