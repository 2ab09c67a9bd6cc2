"""The engine knows no lead; slices hold their anatomy; the tests mirror the tree."""

import re
import tomllib
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
    # what a run allows for each of its subjects is a lead's cap
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
    # whose words are read: the source of a table
    "leadflood/domain/features/rules/job_titles.py": {"apollo", "pdl"},
    # the protocol that the pretend mail server speaks
    "leadflood/cli/sandbox.py": {"smtp"},
}
ANATOMY = {"schemas", "rules", "repository", "service", "stage", "retention"}
"""What a slice may hold, each as a file or a folder."""
QUERIES = "queries.sql"
TEST_FOLDERS_OF_THEIR_OWN = {
    "architecture",
    "chaos",
    "packaging",
    "support",
    "benchmarks",
    "mutation",
}
SUITES = {
    # the edge as a whole, asked over HTTP
    "tests/api/test_access_matrix.py": "every route",
    "tests/api/test_loop_stalls.py": "the costliest body of every operation",
    "tests/api/test_cells.py": "cells, from a file or a request to the lead",
    "tests/api/test_consent.py": "consent, from a file to the suppression list",
    "tests/api/test_names_in_files.py": "names, pages and titles, from a file to the draft",
    "tests/api/test_posts.py": "every POST",
    "tests/api/test_round_trip.py": "exports, imported into an empty installation",
    "tests/api/test_schemathesis.py": "every operation of the document",
    "tests/api/test_walk.py": "the README's way to a scored lead",
    "tests/api/test_password_guessing.py": "login, tokens and what is kept of them",
    "tests/api/test_own_leads.py": "visibility, every route of leads",
    "tests/api/test_own_lead_changes.py": "visibility, every change of a lead",
    "tests/api/test_own_bulk_actions.py": "visibility, actions on many leads",
    "tests/api/test_own_messages.py": "visibility, messages and jobs",
    "tests/api/test_written_once.py": "whatever brings people, to a mail server",
    "tests/api/http/test_request_path.py": "the modules that a request enters",
    "tests/api/http/test_tracing.py": "one trace from request to provider",
    # several parts together
    "tests/cli/run/test_providers.py": "`run` against the pretend providers",
    "tests/domain/sending/test_send_through_gateway.py": "a send through a real gateway",
    "tests/engine/queue/test_machine.py": "the queue as a state machine",
    "tests/providers/test_conformance.py": "every provider of the catalog",
    "tests/providers/test_sandbox.py": "every provider in the pretend world",
}
"""Suites that test through a seam, with what they hold; every other file mirrors a module."""


def slices() -> list[Path]:
    """List the folders of the domain."""
    folders = (PACKAGE / "domain").iterdir()
    return sorted(folder for folder in folders if (folder / "__init__.py").exists())


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


@pytest.mark.parametrize("folder", slices(), ids=name_of)
def test_a_slice_holds_its_anatomy_only(folder: Path) -> None:
    names = {path.stem for path in folder.iterdir() if path.name != QUERIES}
    homes = {path.parent for path in folder.rglob("*.sql")}

    assert not names - ANATOMY - {"__init__", "__pycache__"}
    assert homes <= {folder, folder / "repository"}


def test_a_slice_that_uses_the_services_of_others_stands_in_the_order_of_slices() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (order,) = (
        contract["layers"]
        for contract in contracts["contracts"]
        if contract.get("containers") == ["leadflood.domain"]
    )

    joined = {
        name
        for folder in slices()
        for path in sources(folder)
        for used in re.findall(r"from leadflood\.domain\.(\w+)\.service", path.read_text("utf-8"))
        if used != folder.name
        for name in (folder.name, used)
    }

    assert joined <= set(order) <= {folder.name for folder in slices()}


def test_each_test_stands_where_the_code_stands() -> None:
    strays = {
        name_of(path)
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.relative_to(ROOT / "tests").parts[0] not in TEST_FOLDERS_OF_THEIR_OWN
        if not has_module(path)
    }

    assert strays == SUITES.keys()


def has_module(test: Path) -> bool:
    """Whether the module or the package that a test file names stands at the mirrored place."""
    mirrored = PACKAGE / test.relative_to(ROOT / "tests").parent / test.stem.removeprefix("test_")
    return mirrored.is_dir() or mirrored.with_suffix(".py").exists()


def test_every_folder_of_the_engine_and_every_slice_has_tests() -> None:
    engine = (PACKAGE / "engine").rglob("__init__.py")
    folders = [*slices(), *(init.parent for init in engine)]

    untested = [
        name_of(folder)
        for folder in folders
        if not list((ROOT / "tests" / folder.relative_to(PACKAGE)).rglob("test_*.py"))
    ]

    assert not untested


def test_no_file_is_called_after_nothing() -> None:
    empty_names = {"utils", "helpers", "common", "base", "manager", "misc", "data", "info"}

    assert not [name_of(path) for path in sources() if path.stem in empty_names]
