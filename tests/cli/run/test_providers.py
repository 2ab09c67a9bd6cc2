"""`leadflood run` against the pretend providers: what is found, what it costs, where it stops."""

import subprocess
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from leadflood.cli.demo.world import WorldOptions, sandbox_command
from leadflood.sandbox.main import Announcement
from leadflood.sandbox.prices import Prices
from tests.support.cli import EXAMPLE_ICP, Cli, rows_of, write_lines
from tests.support.pretend import SEED, population, sure_address

PEOPLE = 12


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Announcement]:
    command = sandbox_command(tmp_path_factory.mktemp("world"), WorldOptions(seed=SEED, plan=20))
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        yield msgspec.json.decode(process.stdout.readline(), type=Announcement)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=10)


@pytest.fixture
def keys(world: Announcement) -> dict[str, str]:
    at, prices = world.addresses, Prices()
    endpoints = {
        "APOLLO": (at.apollo, prices.apollo),
        "HUNTER": (at.hunter, prices.hunter),
        "PDL": (at.pdl, prices.pdl),
    }
    environment = {"LEADFLOOD_ENRICHMENT__VERIFY": "false"}
    for name, (url, price) in endpoints.items():
        prefix = f"LEADFLOOD_PROVIDERS__{name}"
        environment[f"{prefix}__BASE_URL"] = url
        environment[f"{prefix}__API_KEY"] = getattr(world.keys, name.lower())
        environment[f"{prefix}__CREDIT_PRICE_MICROS"] = str(price)
    return environment


@pytest.fixture
def people(tmp_path: Path) -> Path:
    everybody = population(8_000)
    chosen = islice(sure_address(everybody), PEOPLE)
    lines = [
        f"{person.first_name},{person.last_name},{everybody.company_of(person).domain}"
        for person in chosen
    ]
    return write_lines(tmp_path / "in.csv", ["first name,last name,domain", *lines])


def test_enriched_values_and_their_cost_are_beside_each_row(
    cli: Cli, keys: dict[str, str], people: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    words = ("run", "--icp", EXAMPLE_ICP, "--input", people, "--output", output, "--json")

    result = cli(*words, **keys)
    again = cli(*words, **keys)

    assert result.code == 0, result.err
    data = result.json
    rows = rows_of(output)
    assert all(row["found_email"] for row in rows)
    assert all(row["found_title"] for row in rows)
    assert round(sum(float(row["cost"]) for row in rows), 4) == data["spentMicros"] / 1_000_000
    assert data["spentMicros"] >= PEOPLE * Prices().apollo
    assert (again.json["spentMicros"], again.json["runId"]) == (data["spentMicros"], data["runId"])


def test_a_budget_stops_paid_calls_but_not_scoring(
    cli: Cli, keys: dict[str, str], people: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    words = ("run", "--icp", EXAMPLE_ICP, "--input", people, "--output", output, "--json")

    result = cli(*words, "--budget", "0.05", **keys)

    assert result.code == 0, result.err
    data = result.json
    rows = rows_of(output)
    assert 0 < data["spentMicros"] <= 50_000
    assert data["scored"] == PEOPLE
    assert "budget.exhausted" in {row["code"] for row in rows}
