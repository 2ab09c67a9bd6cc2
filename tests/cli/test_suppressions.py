"""The suppression list from the terminal, and a master secret that is lost."""

from io import StringIO
from pathlib import Path

import pytest
from tests.support.cli import Cli, CommandResult, write_lines
from typing_extensions import override

NEEDY = (
    ("suppress", "add", "domain", "acme.example"),
    ("suppress", "remove", "domain", "acme.example"),
    ("opt-ins", "list", "01890000-0000-7000-8000-000000000000"),
    ("messages", "approve", "01890000-0000-7000-8000-000000000000"),
    ("sending", "release"),
    ("users", "list"),
    ("claim",),
    ("serve",),
)


def test_a_lost_secret_is_refused_by_every_command_that_needs_it(cli: Cli, tmp_path: Path) -> None:
    cli("suppress", "add", "domain", "acme.example")
    (tmp_path / "data" / "accounts.secret").unlink()

    for words in NEEDY:
        refusal = cli(*words)
        assert refusal.code == 1, words
        assert "accounts.secret.missing" in refusal.err, words
        assert "leadflood suppress rekey" in refusal.err, words
    assert not (tmp_path / "data" / "accounts.secret").exists()
    assert cli("sending", "hold").code == cli("status").code == cli("suppress", "list").code == 0


@pytest.mark.parametrize("way", ["folder", "setting"])
def test_a_second_node_with_another_secret_is_refused(cli: Cli, tmp_path: Path, way: str) -> None:
    cli("suppress", "add", "domain", "acme.example")
    environment = {
        "folder": {"LEADFLOOD_DATA": str(tmp_path / "other")},
        "setting": {"LEADFLOOD_ACCOUNTS__SECRET": "o" * 40},
    }[way]

    refusal = cli("suppress", "add", "domain", "other.example", **environment)

    assert refusal.code == 1
    assert "accounts.secret." in refusal.err


def test_a_line_says_what_it_stops_and_a_broad_one_wants_that_confirmed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = cli("suppress", "add", "domain", "acme.example")
    unasked = cli("suppress", "add", "channel", "email")
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    declined = cli("suppress", "add", "channel", "email")
    listed = cli("suppress", "list", "--json").out
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    confirmed = cli("suppress", "add", "channel", "email")

    assert "it stops 0 leads, and 0 sends that are due" in narrow.err
    assert (unasked.code, declined.code, confirmed.code) == (1, 1, 0)
    assert "--expected-count 0" in unasked.err
    assert "This stops 0 leads, and 0 sends that are due" in declined.err
    assert '"channel"' not in listed
    assert "channel" in confirmed.out


class Terminal(StringIO):
    """A terminal at which somebody has typed something."""

    @override
    def isatty(self) -> bool:
        return True


def test_rekeying_holds_sending_and_says_how_many_lines_are_void(cli: Cli, tmp_path: Path) -> None:
    cli("suppress", "add", "domain", "acme.example")
    cli("suppress", "add", "channel", "sms", "--expected-count", "0")
    cli("sending", "release")
    (tmp_path / "data" / "accounts.secret").unlink()

    rekeyed = cli("suppress", "rekey", "--yes")
    again = cli("suppress", "rekey", "--yes")

    assert rekeyed.code == 0
    assert "1 lines are void and 1 are kept" in rekeyed.out
    assert "HELD" in cli("sending", "status").out
    [void] = [line for line in cli("suppress", "list").out.splitlines() if "VOID" in line]
    assert "ac***.example" in void
    assert again.code == 1
    assert "nothing is lost" in again.err
    assert cli("suppress", "add", "domain", "acme.example").code == 0


def counts_of(result: CommandResult) -> tuple[int, ...]:
    return tuple(result.json[name] for name in ("added", "known", "refused", "unmarked"))


def kinds_of(cli: Cli) -> set[tuple[str, str]]:
    return {(line["kind"], line["hint"]) for line in cli("suppress", "list", "--json").json}


def test_a_file_is_suppressed_line_by_line_with_what_is_refused(cli: Cli, tmp_path: Path) -> None:
    cli("migrate")
    lines = ["# ours", "ann@a.example", "ANN+x@a.example", "b.example", "gmail.com", "what is this"]
    file = write_lines(tmp_path / "list.txt", lines)

    result = cli("suppress", "import", file, "--reason", "said so", "--json")

    listed = cli("suppress", "list", "--json").json
    assert (result.code, counts_of(result)) == (1, (2, 1, 2, 0)), result.err
    assert {(line["reason"], line["source"]) for line in listed} == {("said so", "file list.txt")}
    assert "confirm it with expectedCount" in result.json["problems"][0]


def test_an_export_is_imported_again(cli: Cli, tmp_path: Path) -> None:
    cli("suppress", "add", "address", "ann@a.example", "--reason", "=1+1, by phone")
    cli("suppress", "add", "address", "+31620000001")
    cli("suppress", "add", "domain", "b.example")
    cli("suppress", "add", "channel", "sms", "--expected-count", "0")
    before = kinds_of(cli)
    file = tmp_path / "list.csv"

    exported = cli("suppress", "export", "--output", file)
    known = cli("suppress", "import", file, "--json")
    for line in cli("suppress", "list", "--json").json:
        cli("suppress", "remove", line["id"])
    again = cli("suppress", "import", file, "--json")

    assert exported.code == 0, exported.err
    assert counts_of(known) == (0, 3, 1, 0)
    assert "confirm it with expectedCount" in known.json["problems"][0]
    assert counts_of(again) == (3, 0, 1, 0)
    assert kinds_of(cli) == {line for line in before if line[0] != "channel"}
    reasons = {line["reason"] for line in cli("suppress", "list", "--json").json}
    assert "=1+1, by phone" in reasons


def test_hashes_of_another_secret_are_refused(cli: Cli, tmp_path: Path) -> None:
    cli("suppress", "add", "address", "ann@a.example")
    exported = cli("suppress", "export").out
    file = tmp_path / "list.csv"
    own_key = exported.splitlines()[1].rpartition(",")[2]
    file.write_text(exported.replace(own_key, "0" * 16))

    result = cli("suppress", "import", file, "--json")

    assert counts_of(result) == (0, 0, 1, 0)
    assert result.json["problems"] == [
        "its hash is of another master secret: give the value itself"
    ]
