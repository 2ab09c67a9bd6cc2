from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from leadflood.pipeline import STEPS
from tests.cli.conftest import OnDatabase
from tests.support.cli import Cli
from tests.support.statements import sql

DAMAGE = {
    "dead letters": "INSERT INTO dead_letter (id, stage, turn, priority, attempts, losses, payload,"
    " error_code, error, chain, created_at, died_at) VALUES (gen_random_uuid(), 'message.send', 0,"
    " 0, 1, 0, '{}', 'engine.bug', '', '', now(), now())",
    "crash loops": "INSERT INTO job (id, created_at, state, losses, stage, payload)"
    " VALUES (gen_random_uuid(), now(), 2, 9, 'enrichment.run', '{}')",
    "installation": "INSERT INTO installation (clock_kind, mode, system_identifier, timeline,"
    " database_oid, created_at) VALUES ('system', 'sandbox', 'x', 1, 1, now())",
    "migrations": "UPDATE alembic_version SET version_num = '0008'",
}


def lights(data: Any) -> dict[str, str]:
    return {check["name"]: check["light"] for check in data["checks"]}


def undo_fsync_warning(data: dict[str, str]) -> dict[str, str]:
    """The tests' own server runs without fsync, which the doctor rightly shows red."""
    return {name: light for name, light in data.items() if name != "postgres"}


def test_the_doctor_prints_the_effective_settings_and_masks_secrets(cli: Cli) -> None:
    result = cli("doctor", LEADFLOOD_PROVIDERS__APOLLO__API_KEY="a-long-secret-key-42")

    assert "providers.apollo.api_key = ******42" in result.out
    assert "a-long-secret" not in result.out + result.err
    assert "engine.heartbeat.beat_seconds = 0.2" in result.out
    assert cli.environment["DATABASE_URL"] not in result.out


def test_a_healthy_database_has_no_red_check_except_the_test_servers_fsync(cli: Cli) -> None:
    result = cli("doctor", "--json")

    data = result.json
    assert result.code == 1
    assert "fsync is off" in next(x["fix"] for x in data["checks"] if x["name"] == "postgres")
    assert "red" not in undo_fsync_warning(lights(data)).values()


@pytest.mark.parametrize("what", sorted(DAMAGE))
def test_damage_is_red_with_its_fix(cli: Cli, on_database: OnDatabase, what: str) -> None:
    statement = sql(DAMAGE[what])
    on_database(lambda database: database.execute(statement))

    data = cli("doctor", "--json").json

    assert lights(data)[what] == "red"
    assert next(check["fix"] for check in data["checks"] if check["name"] == what)


def test_switches_of_an_operator_are_yellow(cli: Cli) -> None:
    cli("provider", "off", "pdl")
    cli("stage", "pause", "message.send")
    cli("sending", "hold", "--reason", "a look")

    data = cli("doctor", "--json").json

    by_name = lights(data)
    assert by_name["provider switches"] == by_name["stages"] == by_name["sending"] == "yellow"
    fixes = {check["name"]: check["fix"] for check in data["checks"]}
    assert "leadflood stage resume message.send" in fixes["stages"]
    assert "leadflood provider on pdl" in fixes["provider switches"]


def test_missing_settings_of_providers_and_mail_are_named(cli: Cli) -> None:
    data = cli(
        "doctor",
        "--json",
        LEADFLOOD_PROVIDERS__SMTP__BASE_URL="smtp://me@127.0.0.1:9",
        LEADFLOOD_PROVIDERS__SMTP__API_KEY="k",
        LEADFLOOD_PROVIDERS__HUNTER__API_KEY="k",
    ).json

    checks = {check["name"]: check for check in data["checks"]}
    assert checks["mail settings"]["light"] == "red"
    assert "messaging.postal_address" in checks["mail settings"]["fix"]
    assert "LEADFLOOD_PROVIDERS__APOLLO__API_KEY" in checks["provider apollo"]["fix"]
    assert "credit_price_micros" in checks["provider hunter"]["fix"]


def test_keys_are_checked_only_online(cli: Cli) -> None:
    keys = {
        "LEADFLOOD_PROVIDERS__HUNTER__API_KEY": "k",
        "LEADFLOOD_PROVIDERS__HUNTER__BASE_URL": "http://127.0.0.1:9",
    }

    offline = cli("doctor", "--json", **keys).json
    online = cli("doctor", "--online", "--json", **keys).json

    assert "key of hunter" not in lights(offline)
    assert lights(online)["key of hunter"] == "red"


@pytest.mark.parametrize(
    ("environment", "name", "words"),
    [
        ({"LEADFLOOD_HTTP__PORTT": "1"}, "settings", "portt"),
        ({"LEADFLOOD_HTTP__PORT": "x"}, "settings", "http.port"),
        ({"LEADFLOOD_CONFIG": "/nowhere.toml"}, "settings", "/nowhere.toml"),
        ({"LEADFLOOD_PROVIDERS__APOLO__API_KEY": "x"}, "settings", "apolo"),
        ({"DATABASE_URL": "postgresql://x@127.0.0.1:9/x"}, "postgres", "DATABASE_URL"),
        ({"DATABASE_URL": "mysql://x"}, "postgres", "DATABASE_URL"),
    ],
)
def test_wrong_settings_are_red_with_their_fix(
    cli: Cli, environment: dict[str, str], name: str, words: str
) -> None:
    result = cli("doctor", "--json", **environment)

    data = result.json
    check = next(check for check in data["checks"] if check["name"] == name)
    assert (result.code, check["light"]) == (1, "red")
    assert words in check["found"] + check["fix"]


def test_a_folder_that_cannot_be_written_is_red(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    data = cli("doctor", "--json", LEADFLOOD_DATA=str(tmp_path / "file" / "data")).json

    assert lights(data)["data folder"] == "red"


def test_wrong_settings_end_any_command_with_a_sentence(cli: Cli) -> None:
    result = cli("status", LEADFLOOD_HTTP__PORTT="1")

    assert result.code == 1
    assert "http" in result.err
    assert "portt" in result.err


def test_the_status_shows_stages_runs_and_sending(cli: Cli) -> None:
    cli("stage", "pause", "message.send")

    data = cli("status", "--json").json
    status_result = cli("status")

    paused = {stage["name"]: stage["paused"] for stage in data["stages"]}
    assert paused["message.send"] is True
    assert set(paused) == {step.run.name for step in STEPS}
    assert data["nodes"] == data["runs"] == data["crashLoops"] == []
    assert data["tree"] is None
    assert "no node is running" in status_result.out


def test_the_migrations_go_down_and_up(cli: Cli) -> None:
    refused = cli("migrate", "down", "0008")
    down = cli("migrate", "down", "0008", "--yes", "--json").json
    status = cli("migrate", "status")
    up = cli("migrate", "up", "--json").json

    assert refused.code == 2
    assert down["current"] == "0008"
    assert status.code == 1
    assert "left to do: 0009" in status.out
    assert up["isCurrent"] is True


def test_a_migration_that_does_not_exist_is_reported_in_a_sentence(cli: Cli) -> None:
    result = cli("migrate", "down", "4711", "--yes")

    assert result.code == 1
    assert "Traceback" not in result.err


def test_the_catalogue_holds_every_event_of_the_pipeline_and_of_the_logs(cli: Cli) -> None:
    data = cli("events", "--json").json

    kinds = {entry["name"]: entry for entry in data["events"]}
    for step in STEPS:
        assert step.run.name in kinds[str(step.on.__struct_config__.tag)]["starts"]
    assert all(entry["means"] for entry in data["events"])
    assert "engine.node.entered" in {entry["name"] for entry in data["logs"]}
    assert kinds["scoring.lead.qualified"]["kept"] is False
    names = [*kinds, *(entry["name"] for entry in data["logs"])]
    assert not [name for name in names if not all(x.isidentifier() for x in name.split("."))]


def test_the_command_runs_as_a_module(cli: Cli) -> None:
    result = cli.run("sending", "unknown", "resolve", UUID(int=1), "sent")

    assert result.code == 1
    assert result.err.startswith("error [")
    assert result.out == ""


def test_a_lost_secret_and_void_lines_are_shown(cli: Cli, tmp_path: Path) -> None:
    cli("suppress", "add", "domain", "acme.example")
    (tmp_path / "data" / "accounts.secret").unlink()
    lost = cli("doctor", "--json").json
    cli("suppress", "rekey", "--yes")

    void = cli("doctor", "--json").json

    assert lights(lost)["master secret"] == "red"
    [check] = [check for check in void["checks"] if check["name"] == "master secret"]
    assert (check["light"], check["found"][:8]) == ("yellow", "1 lines ")


def test_a_forwarding_peer_that_is_not_trusted_is_shown(cli: Cli, on_database: OnDatabase) -> None:
    statement = sql(
        "INSERT INTO untrusted_proxy (peer, requests, seen_at) VALUES ('10.0.0.7', 12, now())"
    )
    on_database(lambda database: database.execute(statement))

    shown = cli("doctor", "--json").json
    trusted = cli("doctor", "--json", LEADFLOOD_HTTP__TRUSTED_PROXIES='["10.0.0.0/8"]').json

    [check] = [check for check in shown["checks"] if check["name"] == "proxies"]
    assert check["light"] == "yellow"
    assert "10.0.0.7 (12 requests)" in check["found"]
    assert "http.trusted_proxies" in check["fix"]
    assert lights(trusted)["proxies"] == "green"


def test_a_limit_of_files_that_is_too_low_for_the_connections_is_shown(cli: Cli) -> None:
    enough = cli("doctor", "--json", LEADFLOOD_HTTP__CONNECTIONS="16")
    too_low = cli("doctor", "--json", LEADFLOOD_HTTP__CONNECTIONS="1000000000")

    assert lights(enough.json)["open files"] == "green"
    assert lights(too_low.json)["open files"] == "yellow"
    assert any("LimitNOFILE" in check["fix"] for check in too_low.json["checks"])
