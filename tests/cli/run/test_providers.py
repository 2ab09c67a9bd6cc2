"""`leadflood run` against the pretend providers: what is found, what it costs, where it stops."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from leadflood.cli.sandbox import World, world_command
from leadflood.sandbox.prices import Prices
from tests.support.cli import EXAMPLE_ICP, Cli, rows_of, write_lines
from tests.support.pretend import SEED, population, sure_address

PEOPLE = 12


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    command = world_command(sys.executable, tmp_path_factory.mktemp("world"), SEED, "none", 20)
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        yield msgspec.json.decode(process.stdout.readline(), type=World)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=10)


@pytest.fixture
def keys(world: World) -> dict[str, str]:
    at, prices = world.addresses, Prices()
    told = {
        "APOLLO": (at.apollo, prices.apollo),
        "HUNTER": (at.hunter, prices.hunter),
        "PDL": (at.pdl, prices.pdl),
    }
    found = {"LEADFLOOD_ENRICHMENT__VERIFY": "false"}
    for name, (url, price) in told.items():
        prefix = f"LEADFLOOD_PROVIDERS__{name}"
        found[f"{prefix}__BASE_URL"] = url
        found[f"{prefix}__API_KEY"] = world.keys[name.lower()]
        found[f"{prefix}__CREDIT_PRICE_MICROS"] = str(price)
    return found


@pytest.fixture
def people(tmp_path: Path) -> Path:
    everybody = population(8_000)
    chosen = islice(sure_address(everybody), PEOPLE)
    lines = [
        f"{person.first_name},{person.last_name},{everybody.company_of(person).domain}"
        for person in chosen
    ]
    return write_lines(tmp_path / "in.csv", ["first name,last name,domain", *lines])


def test_what_providers_know_stands_beside_each_row_with_its_cost(
    cli: Cli, keys: dict[str, str], people: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    words = ("run", "--icp", EXAMPLE_ICP, "--input", people, "--output", output, "--json")

    ended = cli(*words, **keys)
    again = cli(*words, **keys)

    assert ended.code == 0, ended.err
    told = ended.json
    rows = rows_of(output)
    assert all(row["found_email"] for row in rows)
    assert all(row["found_title"] for row in rows)
    assert round(sum(float(row["cost"]) for row in rows), 4) == told["spentMicros"] / 1_000_000
    assert told["spentMicros"] >= PEOPLE * Prices().apollo
    assert (again.json["spentMicros"], again.json["runId"]) == (told["spentMicros"], told["runId"])


def test_a_budget_ends_what_is_paid_and_not_the_scores(
    cli: Cli, keys: dict[str, str], people: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    words = ("run", "--icp", EXAMPLE_ICP, "--input", people, "--output", output, "--json")

    ended = cli(*words, "--budget", "0.05", **keys)

    assert ended.code == 0, ended.err
    told = ended.json
    rows = rows_of(output)
    assert 0 < told["spentMicros"] <= 50_000
    assert told["scored"] == PEOPLE
    assert "budget.exhausted" in {row["code"] for row in rows}
