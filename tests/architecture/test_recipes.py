"""The recipes of README and docs/recipes.md, followed to the letter in a copy of the tree."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio.to_thread
import msgspec
import pytest
from leadflood.engine.db.pool import Database
from tests.support.cli import EXAMPLE_ICP, inherited_environment, rows_of, write_lines
from tests.support.statements import sql
from tests.support.tapes import Answer, Tape, playing
from tests.support.tree import ROOT

pytestmark = pytest.mark.pg

COPIED = (
    *("leadflood", "tests", "benchmarks", "config", "migrations", "docs", ".ci"),
    *("README.md", "CHANGELOG.md", "Dockerfile", "pyproject.toml"),
)
PAGE = (ROOT / "docs" / "recipes.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
PRICE_MICROS = 7_000
PATIENCE_SECONDS = 400
"""A command is a suite of its own; on a busy machine it takes minutes."""
DEFINITION = re.compile(r"^ *(?:async def|def|class) (\w+)", re.MULTILINE)
TITLES = ("A provider", "A stage", "An endpoint")

USE_THE_PRODUCT = """
import sys
from uuid import UUID

import anyio
import msgspec

from leadflood.app import open_node, open_storage
from leadflood.cli.root import main
from leadflood.domain.reviews.schemas import ReviewRequested
from leadflood.settings import load_settings
from tests.support.api import running_api

def command(*words):
    sys.argv = ["leadflood", *words]
    try:
        main()
    except SystemExit:
        pass

async def request_a_review(node):
    async with node.publisher.transaction() as publication:
        await publication.publish([ReviewRequested(UUID(int=5))])
    with anyio.fail_after(20):
        while not node.engine.runners["reviews.run"].metrics.completed:
            await node.storage.clock.sleep(0.02)

async def record_a_call(api):
    lead_id = (await api.get("/v1/leads")).json["data"][0]["id"]
    viewer = await api.client_of("VIEWER")
    path, body = f"/v1/leads/{lead_id}/calls", {"minutes": 5, "text": "wants a demo"}
    headers = {"Idempotency-Key": "call 1"}
    refused = await viewer.post(path, body)
    answers = [await api.post(path, body, headers=headers) for _ in range(2)]
    calls = (await api.get(f"/v1/leads/{lead_id}/activities?kind=call")).json["data"]
    operation = (await api.get("/openapi.json")).json["paths"]["/v1/leads/{leadId}/calls"]["post"]
    return {
        "refused": [refused.status, refused.problem["code"]],
        "answers": [[answer.status, answer.json] for answer in answers],
        "calls": calls,
        "permission": operation["x-permission"],
        "summary": operation["summary"],
    }

async def use_the_node():
    async with open_storage(load_settings()) as storage, open_node(storage) as node:
        await request_a_review(node)
        async with running_api(node) as api:
            print(msgspec.json.encode(await record_a_call(api)).decode())

words = sys.argv[1:]
command("run", *words, "--dry-run")
command("run", *words)
command("doctor", "--json")
anyio.run(use_the_node)
"""
SUITES = (
    "tests/architecture",
    "tests/providers/test_conformance.py",
    "tests/domain/reviews/test_stage.py",
    "tests/test_settings.py",
    "tests/api/test_routes.py",
    "tests/api/test_access_matrix.py",
    "tests/api/test_posts.py",
)
CHOSEN = (
    "not test_recipes and (architecture or acme or reviews or catalog or settings_file or calls"
    " or test_every_post_has_a_sample or test_every_route_is_in_the_table"
    " or test_no_module_of_routes_is_forgotten)"
)
DOMAIN_ROW = re.compile(r"^(\| `leadflood/domain/` \| .*?)( \|)$", re.MULTILINE)


def blocks_of(title: str) -> dict[str, str]:
    """Return the blocks of a recipe by the file that each names."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"`([\w/]+\.py)`:\n\n```\w+\n(.*?)```", section, re.DOTALL))


def follow(tree: Path, title: str) -> None:
    """Write a recipe's blocks: new files, and lines in those that are there."""
    for name, text in blocks_of(title).items():
        path = tree / name
        if path.exists():
            path.write_text(with_lines(path.read_text("utf-8"), text), "utf-8")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")


def with_lines(text: str, diff: str) -> str:
    """Put imports after the last one, and the rest where the line without `+` says.

    Without such a line a class goes to the end, and what else is added after the last line that
    begins alike: an entry, a step.
    """
    imports, place, added = parts_of(diff)
    for line in imports:
        text = after_the_last_alike(text, line)
    if place:
        return at_the_end_of(place, text, added)
    if added and added[0].startswith("class "):
        return f"{text}\n\n" + "\n".join(added) + "\n"
    for line in added:
        text = after_the_last_alike(text, line)
    return text


def parts_of(diff: str) -> tuple[list[str], str, list[str]]:
    """Split a block in its imports, the line that says where, and what is added there."""
    lines = diff.splitlines()
    added = [line.removeprefix("+") for line in lines if line.startswith("+")]
    imports = [line for line in added if line.startswith("from ")]
    place = next((line.removeprefix(" ") for line in lines if line.startswith(" ")), "")
    return imports, place, [line for line in added if line not in imports]


def after_the_last_alike(text: str, added: str) -> str:
    lines = text.splitlines()
    start = re.match(r"\s*\w+", added)
    assert start is not None
    places = [n for n, line in enumerate(lines) if line.startswith(start[0])]
    lines.insert(places[-1] + 1, added)
    return "\n".join(lines) + "\n"


def at_the_end_of(place: str, text: str, added: list[str]) -> str:
    """Add to a class, or before the closing bracket of a tuple or a table."""
    lines = text.splitlines()
    (node,) = (
        node for node in ast.parse(text).body if lines[node.lineno - 1] == place and node.end_lineno
    )
    assert node.end_lineno is not None
    is_class = isinstance(node, ast.ClassDef)
    end = node.end_lineno if is_class else node.end_lineno - 1
    lines[end:end] = ["", *added] if is_class else added
    return "\n".join(lines) + "\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the product in which the recipes were followed."""
    for name in COPIED:
        source, target = ROOT / name, tmp_path / "tree" / name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    for title in TITLES:
        follow(tmp_path / "tree", title)
    readme = tmp_path / "tree" / "README.md"
    readme.write_text(DOMAIN_ROW.sub(r"\1, reviews\2", README), "utf-8")
    return tmp_path / "tree"


@pytest.fixture
async def acme() -> AsyncIterator[Tape]:
    """The service of the recipe, which knows one title."""
    async with playing(Answer(body=b'{"title": "VP Operations"}')) as tape:
        yield tape


Run = Callable[..., str]


@pytest.fixture
def run(tree: Path, tmp_path: Path, database_url: str, acme: Tape) -> Run:
    """Run Python in the copy, set up for the new provider alone; the output is returned."""
    environment = {
        **inherited_environment(),
        "PYTHONPATH": str(tree),
        "DATABASE_URL": database_url,
        "LEADFLOOD_DATA": str(tmp_path / "data"),
        "LEADFLOOD_PROVIDERS__ACME__API_KEY": "k",
        "LEADFLOOD_PROVIDERS__ACME__BASE_URL": acme.url,
        "LEADFLOOD_PROVIDERS__ACME__CREDIT_PRICE_MICROS": str(PRICE_MICROS),
        "LEADFLOOD_ENRICHMENT__ORDER": '["acme", "apollo"]',
        "LEADFLOOD_STAGES__REVIEWS__RUN__CONCURRENCY": "3",
    }

    def python(*words: object) -> str:
        ended = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, *map(str, words)],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert ended.returncode == 0, f"{ended.stdout[-4_000:]}\n{ended.stderr[-4_000:]}"
        return ended.stdout

    return python


def test_the_recipes_write_the_files_that_readme_names() -> None:
    rows = dict(
        re.findall(r"^\| (a provider|a stage|an endpoint) \| (.*) \|$", README, re.MULTILINE)
    )

    for title, row in rows.items():
        named = {name.removeprefix("leadflood/") for name in re.findall(r"`([\w/]+\.py)`", row)}
        written = {name.removeprefix("leadflood/") for name in blocks_of(title.capitalize())}
        assert written - {"domain/reviews/__init__.py"} == named

    assert len(rows) == len(TITLES)


def test_a_recipe_takes_what_it_promises() -> None:
    assert new_files("A provider") == [
        "leadflood/providers/acme.py",
        "tests/providers/test_acme.py",
    ]
    assert lines_elsewhere("A provider") == {"leadflood/providers/catalog.py": 1}
    assert new_files("A stage") == [
        "leadflood/domain/reviews/schemas.py",
        "leadflood/domain/reviews/stage.py",
        "tests/domain/reviews/test_stage.py",
    ]
    assert lines_elsewhere("A stage") == {"leadflood/pipeline.py": 1}
    assert definitions("An endpoint") == {
        "leadflood/api/routes/calls.py": ["record_call"],
        "leadflood/domain/activities/service.py": ["record_call"],
        "leadflood/domain/activities/schemas.py": ["NewCall"],
    }
    assert lines_elsewhere("An endpoint") == {
        "leadflood/api/routes/__init__.py": 1,
        "tests/api/test_access_matrix.py": 1,
        "tests/api/test_posts.py": 1,
    }


def new_files(title: str) -> list[str]:
    return [
        name
        for name in blocks_of(title)
        if not (ROOT / name).exists() and not name.endswith("__init__.py")
    ]


def lines_elsewhere(title: str) -> dict[str, int]:
    """Count the lines for files that are there: imports and definitions do not count."""
    return {
        name: len(parts_of(text)[2])
        for name, text in blocks_of(title).items()
        if (ROOT / name).exists() and name not in definitions(title)
    }


def definitions(title: str) -> dict[str, list[str]]:
    """List the classes and functions that each block adds."""
    return {
        name: found
        for name, text in blocks_of(title).items()
        if (found := DEFINITION.findall("\n".join(parts_of(text)[2]) or text))
    }


async def test_a_provider_a_stage_and_an_endpoint_added_by_their_recipes_work(
    run: Run, tmp_path: Path, acme: Tape, database: Database
) -> None:
    people = write_lines(tmp_path / "in.csv", ["first name,last name,domain", "Ann,Lee,acme.com"])
    words = ("--icp", EXAMPLE_ICP, "--input", people, "--output", tmp_path / "out.csv", "--json")

    report = await anyio.to_thread.run_sync(lambda: run("-c", USE_THE_PRODUCT, *words))

    estimate, _, health, endpoint = [
        msgspec.json.decode(line) for line in report.splitlines() if line.startswith("{")
    ]
    prices = [(row["provider"], row["mostMicros"]) for row in estimate["dryRun"]["asked"]]
    assert prices == [("acme", PRICE_MICROS)]
    assert [row["found_title"] for row in rows_of(tmp_path / "out.csv")] == ["VP Operations"]
    assert acme.seen[0].query == {"name": "Lee", "domain": "acme.com"}
    checks = {check["name"]: check for check in health["checks"]}
    assert checks["provider acme"]["found"] == f"configured ({acme.url})"
    assert health["settings"]["stages.reviews.run.concurrency"] == "3"
    reviewed = await database.fetch(sql("SELECT type FROM event WHERE type LIKE 'reviews.%'"))
    assert {row["type"] for row in reviewed} == {
        "reviews.lead.review_requested",
        "reviews.lead.reviewed",
    }
    assert (endpoint["permission"], endpoint["summary"]) == (
        "leads:write",
        "Record a call with a lead",
    )
    assert endpoint["refused"] == [403, "http.denied"]
    [call] = endpoint["calls"]
    assert endpoint["answers"] == [[201, call]] * 2
    assert (call["kind"], call["text"]) == ("call", "5 min: wants a demo")


async def test_the_suites_hold_what_a_recipe_added_to_their_rules(run: Run, tree: Path) -> None:
    def check_the_tree() -> str:
        written = [name for title in TITLES for name in blocks_of(title)]
        run("-m", "ruff", "check", "--fix", *written)
        run("-m", "ruff", "format", "--check", *written)
        page = run("-m", "leadflood", "provider", "list", "--markdown")
        (tree / "docs" / "providers.md").write_text(page, "utf-8")
        selected = ("-k", CHOSEN, "-m", "not lint and not long", *SUITES)
        return run("-m", "pytest", "-n", "0", "-v", "-p", "no:cacheprovider", *selected)

    report = await anyio.to_thread.run_sync(check_the_tree)

    assert "test_a_miss_is_an_answer_and_free[acme enrich] PASSED" in report
    assert "test_a_provider_names_its_answers_or_why_it_has_none[acme] PASSED" in report
    assert "test_the_page_of_providers_is_written_from_the_catalog PASSED" in report
    assert "test_a_lead_is_looked_at PASSED" in report
    assert "test_every_route_is_in_the_table_with_what_it_needs PASSED" in report
    assert "test_every_post_has_a_sample PASSED" in report
    assert (
        "test_a_post_sent_twice_with_one_key_is_done_once[POST /v1/leads/{leadId}/calls]" in report
    )
