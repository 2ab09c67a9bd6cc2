import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from leadflood.app import open_node, open_storage
from leadflood.cli.run.command import parse_budget
from leadflood.contracts.csv_safety import neutral
from leadflood.engine.db.filelock import FileLock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Invalid
from leadflood.settings import load_settings
from tests.cli.conftest import OnDatabase
from tests.support.cli import CSV_DATA, EXAMPLE_ICP, Cli, rows_of, write_lines
from tests.support.statements import sql
from tests.support.workbooks import make_xlsx

PEOPLE = 800


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "scored.csv"


def many_people(path: Path, count: int = PEOPLE) -> Path:
    rows = [
        f"Pat{number},Doe{number},pat{number}@firm{number % 97}.example,COO,Firm {number % 97}"
        for number in range(count)
    ]
    return write_lines(path, ["First Name,Last Name,Email,Title,Company", *rows])


def count_of(on_database: OnDatabase, table: str) -> int:
    async def count(database: Database) -> Any:
        text = f"SELECT count(*) FROM {table}"  # noqa: S608 - a name of the tests
        return await database.fetch_value(sql(text))

    return int(on_database(count))


def test_a_sheet_of_a_workbook_is_scored(cli: Cli, output: Path, tmp_path: Path) -> None:
    input_file = tmp_path / "leads.xlsx"
    people = {name: [["Name", "Email"], [name, f"a@{name}.example"]] for name in ("may", "june")}
    input_file.write_bytes(make_xlsx({"info": [["Leads"]], **people}))
    command = ["run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json"]

    first, june = cli(*command), cli(*command, "--sheet", "june")

    assert (first.code, june.code) == (0, 0), first.err + june.err
    assert "leads.xlsx: xlsx, sheet 'may'" in first.err
    assert rows_of(output)[0]["Email"] == "a@june.example"


def test_who_said_no_in_the_file_is_suppressed(cli: Cli, output: Path, tmp_path: Path) -> None:
    input_file = tmp_path / "k01.csv"
    raw = (CSV_DATA / "messy_leads" / "k01_optout_salesforce.csv").read_bytes()
    input_file.write_bytes(raw.replace(b"-t0", b"-cli"))
    command = ["run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json"]

    result = cli(*command)
    lines = cli("suppress", "list", "--json").json

    assert result.code == 0, result.err
    assert "consent: 2 rows say no: whom they name is suppressed" in result.err
    assert {(line["kind"], line["reason"]) for line in lines} == {
        (kind, reason)
        for kind in ("address", "lead")
        for reason in ("Email Opt Out: '1'", "Lead Status: 'Unsubscribed'")
    }


def test_a_column_that_speaks_of_consent_holds_a_run_until_it_is_read(
    cli: Cli, output: Path, tmp_path: Path
) -> None:
    input_file = write_lines(tmp_path / "gdpr.csv", ["email,GDPR", "ann@gdpr.example,given"])
    command = ["run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json"]

    refused = cli(*command)
    mapped = cli(*command, "--column", "GDPR=opt_out", "--dry-run")
    waved = cli(*command, "--ignore-consent-column", "GDPR")

    assert refused.code != 0
    assert "'GDPR' speaks of consent and is not read" in refused.err
    assert mapped.code == 0
    assert (waved.code, waved.json["runId"] is not None) == (0, True), waved.err


def test_what_a_run_suppressed_by_a_wrong_column_is_lifted(
    cli: Cli, output: Path, tmp_path: Path
) -> None:
    lines = ["email,Opt out", "ann@lifted.example,yes"]
    input_file = write_lines(tmp_path / "wrong.csv", lines)
    command = ["run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json"]
    run_id = cli(*command).json["runId"]

    lifted = cli("suppress", "lift-import", run_id, "--reason", "another column", "--json")
    again = cli("suppress", "lift-import", run_id, "--reason", "another column")

    assert (lifted.json["lifted"], lifted.json["kept"]) == (2, 0)
    assert again.out.startswith("0 lines are lifted")
    assert cli("suppress", "lift-import", run_id, "--reason", " ").code == 2


@pytest.mark.parametrize(("choice", "opted_out"), [((), 0), (("--no-opt-in", "refused"), 1)])
def test_a_run_is_told_what_a_no_to_an_opt_in_says(
    cli: Cli, output: Path, tmp_path: Path, choice: tuple[str, ...], opted_out: int
) -> None:
    input_file = write_lines(tmp_path / "boxes.csv", ["email,Opt in", "ann@box.example,0"])
    command = ["run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json"]

    answer = cli(*command, "--dry-run", *choice).json["input"]

    assert answer["optedOut"] == opted_out
    assert ["nobody asked" in warning for warning in answer["warnings"]] == [True] * (not choice)


@pytest.mark.parametrize(
    ("name", "rows", "bad"),
    [("k07_comma_space_quotes", 2, 0), ("k07_unclosed_quote", 4, 1), ("k17_short_row", 1, 1)],
)
def test_a_file_as_people_have_it_is_read_row_by_row(
    cli: Cli, output: Path, name: str, rows: int, bad: int
) -> None:
    input_file = CSV_DATA / "messy_leads" / f"{name}.csv"
    words = ["--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--dry-run"]

    result = cli("run", *words, "--json")

    assert (result.json["input"]["rows"], result.json["input"]["badRows"]) == (rows, bad)
    assert result.err.count("\nline ") == bad


def test_companies_with_pages_on_shared_hosts_are_leads_of_their_own(
    cli: Cli, output: Path
) -> None:
    input_file = CSV_DATA / "messy_leads" / "k04_hosted_pages.csv"

    result = cli("run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json")

    assert result.code == 0, result.err
    assert (result.json["rows"], result.json["leads"], result.json["badRows"]) == (4, 4, 0)


def test_without_any_key_a_file_is_scored_by_its_own_values(cli: Cli, output: Path) -> None:
    input_file = CSV_DATA / "hubspot_b.csv"

    result = cli("run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json")

    assert result.code == 0, result.err
    data = result.json
    assert (data["rows"], data["leads"], data["scored"], data["badRows"]) == (4, 4, 4, 0)
    assert data["spentMicros"] == 0
    jane = rows_of(output)[0]
    assert jane["Email"] == "jane@acme.de"
    assert (jane["band"], jane["status"]) == ("LOW", "scored")
    assert float(jane["score"]) > 0
    assert jane["why"].startswith("because ")
    assert jane["found_company_domain"] == "acme.de"
    assert jane["found_full_name"] == "Jane Doe"


@pytest.mark.parametrize(
    ("file", "rows"),
    [("k02_same_file_again", 1), ("k03_role_mailbox", 3), ("k15_plus_tag_after_suppress", 1)],
)
def test_a_file_run_again_scores_everybody_and_writes_to_nobody(
    cli: Cli, output: Path, on_database: OnDatabase, file: str, rows: int
) -> None:
    words = (
        "run",
        "--icp",
        EXAMPLE_ICP,
        "--input",
        CSV_DATA / "messy_leads" / f"{file}.csv",
        "--output",
        output,
    )

    results = [cli(*words, "--json") for _ in range(2)]

    assert [result.code for result in results] == [0, 0]
    assert len(rows_of(output)) == rows
    assert count_of(on_database, "intent") == 0


def test_how_the_file_was_understood_is_shown(cli: Cli, output: Path) -> None:
    input_file = CSV_DATA / "linkedin_connections_notes.csv"

    result = cli("run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output)

    assert result.out == ""
    assert "utf-8, cells separated by comma" in result.err
    assert "'Notes:'" in result.err
    assert "Position = title" in result.err


def test_the_cells_of_messy_files_are_understood(cli: Cli, output: Path, tmp_path: Path) -> None:
    input_file = write_lines(
        tmp_path / "in.csv",
        [
            "First Name,Last Name,Email,Country,Phone,Company,Annual Revenue",
            'N/A,Po,"gus@k6a.com; gus2@k6a.com",DEU,493012345678.0,Unknown,"12,500,000"',
            "Dan,Null,Dan Null <dan@k6b.com>,America,000-000-0000,MA,$12M",
        ],
    )

    result = cli("run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json")

    assert result.code == 0, result.err
    first, second = rows_of(output)
    assert (first["found_email"], second["found_email"]) == ("gus@k6a.com", "dan@k6b.com")
    assert (first["found_country"], second["found_country"]) == ("DE", "US")
    assert (first["found_phone"], second["found_phone"]) == ("'+493012345678", "")
    assert "first_name: 'N/A' is no value" in first["note"]
    assert "phone: '000-000-0000' is no phone number" in second["note"]
    assert "company_revenue: '$12M' is kept as '12000000 USD'" in second["note"]


def test_every_row_is_in_the_output_once_or_in_the_bad_rows_with_its_reason(
    cli: Cli, output: Path, tmp_path: Path
) -> None:
    input_file = write_lines(
        tmp_path / "in.csv",
        [
            "Name;E-Mail;Company;Memo",
            "Ann Lee;ann@firm.example;Firm;=HYPERLINK(1)",
            "Bob;no address;Firm;x",
            "Ann L.;ANN@firm.example;Firm;the same",
            ";;;nobody",
            "Cy Dee;cy@firm.example;Firm;-",
        ],
    )

    result = cli("run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json")

    assert result.code == 0, result.err
    data = result.json
    assert (data["rows"], data["leads"], data["badRows"]) == (4, 3, 1)
    rows = rows_of(output)
    assert [row["E-Mail"] for row in rows] == [
        "ann@firm.example",
        "no address",
        "ANN@firm.example",
        "cy@firm.example",
    ]
    assert "'no address' is no e-mail address" in rows[1]["note"]
    assert rows[0]["Memo"] == "'=HYPERLINK(1)"
    assert rows[0]["lead_id"] == rows[2]["lead_id"] != rows[3]["lead_id"]
    assert "the same lead as line 2" in rows[2]["note"]
    bad = rows_of(Path(data["badOutput"]))
    assert [(row["line"], row["Name"]) for row in bad] == [("5", "")]
    assert all(row["reason"] for row in bad)


def test_the_same_command_again_writes_the_same_output(
    cli: Cli, output: Path, on_database: OnDatabase
) -> None:
    words = (
        "run",
        "--icp",
        EXAMPLE_ICP,
        "--input",
        CSV_DATA / "apollo_b.csv",
        "--output",
        output,
    )
    first = cli(*words, "--json").json
    before = output.read_bytes()
    output.unlink()

    again = cli(*words, "--json")

    data = again.json
    assert data["runId"] == first["runId"]
    assert "started before" in again.err
    assert output.read_bytes() == before
    assert count_of(on_database, "run") == 1
    assert count_of(on_database, "score_prediction") == data["leads"]


def test_another_budget_is_another_run(cli: Cli, output: Path) -> None:
    words = (
        "run",
        "--icp",
        EXAMPLE_ICP,
        "--input",
        CSV_DATA / "apollo_b.csv",
        "--output",
        output,
    )

    first = cli(*words, "--json", "--budget", "1").json
    second = cli(*words, "--json", "--budget", "2").json

    assert first["runId"] != second["runId"]


def test_a_killed_run_continues_and_imports_no_lead_twice(
    cli: Cli, output: Path, tmp_path: Path, on_database: OnDatabase
) -> None:
    input_file = many_people(tmp_path / "in.csv")
    words = ("run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json")
    with cli.start(*words) as process:
        wait_until(lambda: count_of(on_database, "import_row") > 0)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert not output.exists()
    imported = count_of(on_database, "import_row")

    result = cli.run(*words)

    assert result.code == 0, result.err
    assert 0 < imported <= PEOPLE
    assert "continuing" in result.err
    assert result.err.count("Traceback") == 0
    rows = rows_of(output)
    assert [row["Email"] for row in rows] == [
        f"pat{number}@firm{number % 97}.example" for number in range(PEOPLE)
    ]
    assert len({row["lead_id"] for row in rows}) == PEOPLE
    assert {row["status"] for row in rows} == {"scored"}
    assert count_of(on_database, "lead") == PEOPLE
    assert count_of(on_database, "score_prediction") == PEOPLE
    assert count_of(on_database, "job") == 0


def wait_until(is_so: Any, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds  # noqa: TID251 - real processes
    while not is_so():
        assert time.monotonic() < until, "waited for too long"  # noqa: TID251 - same


async def test_a_run_is_handed_to_a_running_node(
    cli: Cli, output: Path, tmp_path: Path, database: Database
) -> None:
    input_file = many_people(tmp_path / "in.csv", 300)
    settings = load_settings(environment=cli.environment)
    words = ("run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json")

    async with open_storage(settings) as storage, open_node(storage) as node:
        result = await anyio.to_thread.run_sync(cli.run, *words)
        worked = sum(line.completed for line in node.engine.status())

    assert result.code == 0, result.err
    data = result.json
    assert data["handedOver"] is True
    assert worked == 300 * 3
    assert len(rows_of(output)) == 300
    assert await database.fetch_value(sql("SELECT count(*) FROM node")) == 0


def test_a_run_does_its_own_work_when_the_node_is_dead(
    cli: Cli, output: Path, on_database: OnDatabase
) -> None:
    enter_dead_node(on_database)
    input_file = CSV_DATA / "apollo_b.csv"

    result = cli("run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output, "--json")

    assert result.code == 0, result.err
    data = result.json
    assert data["handedOver"] is False


def test_a_run_that_does_its_own_work_leaves_other_jobs_alone(
    cli: Cli, output: Path, on_database: OnDatabase
) -> None:
    statement = sql(
        "INSERT INTO job (id, created_at, state, stage, payload)"
        " VALUES (gen_random_uuid(), now(), 0, 'enrichment.run', '{}')"
    )
    on_database(lambda database: database.execute(statement))

    result = cli(
        "run", "--icp", EXAMPLE_ICP, "--input", CSV_DATA / "apollo_b.csv", "--output", output
    )

    remaining = sql("SELECT count(*) FROM job WHERE state = 0 AND claim = 0")
    assert result.code == 0, result.err
    assert on_database(lambda database: database.fetch_value(remaining)) == 1
    assert count_of(on_database, "job") == 1


def test_the_same_run_twice_at_once_is_refused(
    cli: Cli, output: Path, on_database: OnDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    input_file = CSV_DATA / "apollo_b.csv"
    words = ("run", "--icp", EXAMPLE_ICP, "--input", input_file, "--output", output)
    paths: list[Path] = []
    remove = FileLock.remove

    def record_path(lock: FileLock) -> None:
        paths.append(lock._path)
        remove(lock)

    monkeypatch.setattr(FileLock, "remove", record_path)
    cli(*words)
    assert not list((Path(cli.environment["LEADFLOOD_DATA"]) / "runs").iterdir())
    run_lock = FileLock(paths[0])
    assert run_lock.try_alone()

    result = cli(*words)

    run_lock.close()
    assert result.code == 1
    assert "the same run is active" in result.err
    assert count_of(on_database, "run") == 1


def test_a_paused_stage_is_named_before_the_run_waits_for_it(cli: Cli, output: Path) -> None:
    cli("stage", "pause", "message.generate")

    result = cli(
        "run", "--icp", EXAMPLE_ICP, "--input", CSV_DATA / "apollo_b.csv", "--output", output
    )

    assert result.code == 0, result.err
    assert "leadflood stage resume message.generate" in result.err


def enter_dead_node(on_database: OnDatabase) -> None:
    statement = sql(
        "INSERT INTO node (name, started_at, last_beat_at)"
        " VALUES ('leadflood', now(), clock_timestamp())"
    )
    on_database(lambda database: database.execute(statement))


def test_a_dry_run_shows_the_cost_and_imports_nothing(cli: Cli, output: Path) -> None:
    keys = {
        "LEADFLOOD_PROVIDERS__APOLLO__API_KEY": "k",
        "LEADFLOOD_PROVIDERS__APOLLO__CREDIT_PRICE_MICROS": "40000",
        "LEADFLOOD_PROVIDERS__HUNTER__API_KEY": "k",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
    }
    words = (
        "run",
        "--icp",
        EXAMPLE_ICP,
        "--input",
        CSV_DATA / "hubspot_b.csv",
        "--output",
        output,
    )

    result = cli(*words, "--dry-run", "--budget", "0.10", "--json", **keys)

    assert result.code == 0, result.err
    data = result.json
    assert [price["provider"] for price in data["dryRun"]["asked"]] == ["apollo", "hunter"]
    assert data["dryRun"]["asked"][0]["mostMicros"] == 4 * 40_000
    assert data["dryRun"]["mostMicros"] == 100_000
    assert "NO PRICE SET (providers.hunter.credit_price_micros)" in result.err
    assert not output.exists()


@pytest.mark.parametrize("text", ["x", "-1", "nan", "inf", "1.0000001", "", "1e12"])
def test_a_budget_that_is_no_money_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="--budget"):
        parse_budget(text)


def test_a_budget_is_read_to_the_micro_unit() -> None:
    assert parse_budget("5.00") == 5_000_000
    assert parse_budget("0,000001") == 1
    assert parse_budget("0") == 0


def test_a_person_says_what_columns_hold(cli: Cli, output: Path, tmp_path: Path) -> None:
    people = write_lines(tmp_path / "people.csv", ["Ada Low;Gondor;p1@x.com", "Bo Hi;;p2@x.com"])
    firms = write_lines(tmp_path / "firms.csv", ["Name,Website,Country", "Acme,other.com,DE"])
    words = ("run", "--dry-run", "--json", "--icp", EXAMPLE_ICP, "--output", output, "--input")

    guessed = cli(*words, people)
    chosen = cli(*words, people, "--column", "column 1=full_name", "--column", "column 2=country")
    companies = cli(*words, firms, "--subject", "companies")
    wrong = cli(*words, people, "--column", "column 9=email")
    no_field = cli(*words, people, "--column", "column 1=shoe")

    assert guessed.json["input"]["columns"]["column 1"] is None
    assert "column 'column 1' is not read, and its cells look like names" in guessed.err
    columns = chosen.json["input"]["columns"]
    assert list(columns.values()) == ["full_name", "country", "email"]
    assert chosen.json["input"]["rows"] == 2
    assert "country: 1 of 1 not understood, such as 'Gondor'" in chosen.err
    assert companies.json["input"]["columns"]["Name"] == "company_name"
    assert (wrong.code, no_field.code) == (1, 2)
    assert "the file has no such column" in wrong.err
    assert "write Name=field" in no_field.err


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_cell_that_would_be_computed_is_made_harmless(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


def bad_files(folder: Path) -> Iterator[tuple[list[str], int, str]]:
    good = str(CSV_DATA / "hubspot_b.csv")
    icp, out = str(EXAMPLE_ICP), str(folder / "out.csv")
    broken = write_lines(folder / "broken.toml", ['name = "x"', 'offer = "y"', "bandz = 3"])
    workbook = folder / "book.xlsx"
    workbook.write_bytes(b"PK\x03\x04rest")
    strangers = write_lines(folder / "strangers.csv", ["a,b", "1,2"])
    no_match = write_lines(folder / "nobody.csv", ["Email,Company", "not one,Firm"])
    same_input = str(write_lines(folder / "same.csv", ["Email", "a@b.example"]))
    yield (
        ["--icp", str(folder / "none"), "--input", good, "--output", out],
        1,
        "cannot read the ICP",
    )
    yield ["--icp", str(broken), "--input", good, "--output", out], 1, "did you mean bands"
    yield (
        ["--icp", icp, "--input", str(folder / "none"), "--output", out],
        1,
        "--input: cannot read",
    )
    yield ["--icp", icp, "--input", str(folder), "--output", out], 1, "--input: cannot read"
    yield ["--icp", icp, "--input", str(workbook), "--output", out], 1, "send it again"
    yield (
        ["--icp", icp, "--input", str(strangers), "--output", out],
        1,
        "`--column NAME=FIELD` says",
    )
    yield ["--icp", icp, "--input", str(no_match), "--output", out], 1, "no row can be used"
    yield (
        ["--icp", icp, "--input", good, "--output", str(folder / "no" / "out")],
        2,
        "make it first",
    )
    yield ["--icp", icp, "--input", good, "--output", str(folder)], 2, "name a file"
    yield ["--icp", icp, "--input", same_input, "--output", same_input], 2, "it is the input itself"
    yield ["--icp", icp, "--input", good, "--output", out, "--budget", "much"], 2, "--budget"
    yield ["--icp", icp, "--input", good], 2, "--output"


def test_bad_input_is_reported_with_its_fix(cli: Cli, tmp_path: Path) -> None:
    for words, code, sentence in bad_files(tmp_path):
        result = cli("run", *words)

        assert result.code == code, result.err
        assert sentence in result.err
        assert "Traceback" not in result.err
        assert result.out == ""


def test_an_unreachable_database_is_reported_in_a_sentence(cli: Cli, output: Path) -> None:
    words = (
        "run",
        "--icp",
        EXAMPLE_ICP,
        "--input",
        CSV_DATA / "hubspot_b.csv",
        "--output",
        output,
    )

    result = cli(*words, DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")

    assert result.code == 1
    assert "leadflood doctor" in result.err
    assert not output.exists()


def test_a_file_of_headers_only_is_told_so(cli: Cli, output: Path, tmp_path: Path) -> None:
    headers = tmp_path / "headers.csv"
    headers.write_text("Email,Name\n")

    result = cli("run", "--icp", EXAMPLE_ICP, "--input", headers, "--output", output)

    assert (result.code, "no rows below the header line" in result.err) == (1, True), result.err
