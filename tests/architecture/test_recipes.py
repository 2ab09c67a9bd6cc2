"""The recipes of README and docs/recipes.md, followed to the letter in a copy of the tree."""

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

COPIED = ("leadflood", "tests", "config", "migrations", "docs", "README.md", "pyproject.toml")
PAGE = (ROOT / "docs" / "recipes.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
PRICE_MICROS = 7_000

USE_THE_PRODUCT = """
import sys
from uuid import UUID

import anyio

from leadflood.app import open_node, open_storage
from leadflood.cli.root import main
from leadflood.domain.reviews.schemas import ReviewRequested
from leadflood.settings import load_settings

def command(*words):
    sys.argv = ["leadflood", *words]
    try:
        main()
    except SystemExit:
        pass

async def request_a_review():
    async with open_storage(load_settings()) as storage, open_node(storage) as node:
        async with node.publisher.transaction() as publication:
            await publication.publish([ReviewRequested(UUID(int=5))])
        with anyio.fail_after(20):
            while not node.engine.runners["reviews.run"].metrics.completed:
                await storage.clock.sleep(0.02)

words = sys.argv[1:]
command("run", *words, "--dry-run")
command("run", *words)
command("doctor", "--json")
anyio.run(request_a_review)
"""
SUITES = (
    "tests/providers/test_conformance.py",
    "tests/domain/reviews/test_stage.py",
    "tests/test_settings.py",
    "tests/architecture/test_shape.py",
)
CHOSEN = "acme or reviews or catalog or settings_file or slice"


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
    """Put each added line after the last one that begins alike: an import, an entry, a step."""
    lines = text.splitlines()
    for added in (line.removeprefix("+") for line in diff.splitlines()):
        start = re.match(r"\s*\w+", added)
        assert start is not None
        places = [n for n, line in enumerate(lines) if line.startswith(start[0])]
        lines.insert(places[-1] + 1, added)
    return "\n".join(lines) + "\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the product in which both recipes were followed."""
    for name in COPIED:
        source, target = ROOT / name, tmp_path / "tree" / name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    for title in ("A provider", "A stage"):
        follow(tmp_path / "tree", title)
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
            timeout=120,
        )
        assert ended.returncode == 0, f"{ended.stdout[-4_000:]}\n{ended.stderr[-4_000:]}"
        return ended.stdout

    return python


def test_the_recipes_write_the_files_that_readme_names() -> None:
    rows = dict(re.findall(r"^\| (a provider|a stage) \| (.*) \|$", README, re.MULTILINE))

    for title, row in rows.items():
        named = {name.removeprefix("leadflood/") for name in re.findall(r"`([\w/]+\.py)`", row)}
        written = {
            name.removeprefix("leadflood/")
            for name in blocks_of(title.capitalize())
            if not name.endswith("__init__.py")
        }
        assert written == named

    assert len(rows) == 2


async def test_a_provider_and_a_stage_added_by_their_recipes_work(
    run: Run, tmp_path: Path, acme: Tape, database: Database
) -> None:
    people = write_lines(tmp_path / "in.csv", ["first name,last name,domain", "Ann,Lee,acme.com"])
    words = ("--icp", EXAMPLE_ICP, "--input", people, "--output", tmp_path / "out.csv", "--json")

    report = await anyio.to_thread.run_sync(lambda: run("-c", USE_THE_PRODUCT, *words))

    estimate, _, health = [
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


async def test_the_suites_hold_what_a_recipe_added_to_their_rules(run: Run, tree: Path) -> None:
    def check_the_tree() -> str:
        written = [*blocks_of("A provider"), *blocks_of("A stage")]
        run("-m", "ruff", "check", "--fix", *written)
        run("-m", "ruff", "format", "--check", *written)
        page = run("-m", "leadflood", "provider", "list", "--markdown")
        (tree / "docs" / "providers.md").write_text(page, "utf-8")
        return run("-m", "pytest", "-n", "0", "-v", "-p", "no:cacheprovider", "-k", CHOSEN, *SUITES)

    report = await anyio.to_thread.run_sync(check_the_tree)

    assert "test_a_miss_is_an_answer_and_free[acme enrich] PASSED" in report
    assert "test_a_provider_names_its_answers_or_why_it_has_none[acme] PASSED" in report
    assert "test_the_page_of_providers_is_written_from_the_catalog PASSED" in report
    assert "test_a_lead_is_looked_at PASSED" in report
