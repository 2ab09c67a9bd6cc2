"""`config/`: every setting stands there with its default."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from leadflood.engine.errors import Invalid
from leadflood.pipeline import STAGES
from leadflood.settings import (
    ENRICHER_NAMES,
    PROVIDER_NAMES,
    Settings,
    convert,
    explain_settings,
    list_settings,
    load_settings,
)

CONFIG = Path(__file__).parents[1] / "config"


def paths_of(tree: Any, path: str = "") -> Iterator[str]:
    for key, value in tree.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict) and value:
            yield from paths_of(value, here)
        elif value is not None:
            yield here


def uncommented() -> dict[str, Any]:
    text = (CONFIG / "leadflood.toml").read_text("utf-8")
    lines = [line[1:] for line in text.splitlines() if re.match(r"#[^ #]", line)]
    return tomllib.loads("\n".join(lines))


def test_the_settings_file_uncommented_is_the_defaults() -> None:
    settings = convert(uncommented())

    assert settings == Settings()


def shown_as(path: str) -> str:
    """Name a setting of one stage or provider as that of all: the file shows one of each."""
    path = re.sub(rf"^stages\.({'|'.join(map(re.escape, STAGES))})\.", "stages.NAME.", path)
    return re.sub(rf"^providers\.({'|'.join(PROVIDER_NAMES)})\.", "providers.NAME.", path)


def test_every_setting_stands_in_the_settings_file() -> None:
    defaults = {shown_as(path) for path in paths_of(msgspec.to_builtins(Settings()))}

    missing = defaults - set(map(shown_as, paths_of(uncommented()))) - {"enrichment.order"}

    assert not missing, f"write these in config/leadflood.toml with a `#` before: {sorted(missing)}"


def test_what_has_no_default_is_named_in_the_settings_file() -> None:
    text = (CONFIG / "leadflood.toml").read_text("utf-8")

    unset = ("day_micros", "month_micros", "lead_micros", "day_cap_micros", "order = ")

    assert all(name in text for name in unset)


def test_the_settings_file_as_it_stands_changes_nothing() -> None:
    settings = load_settings(CONFIG / "leadflood.toml", {})

    assert settings == Settings()


def whatsapp(parameters: str, *more: str) -> dict[str, str]:
    return {
        "LEADFLOOD_MESSAGING__WHATSAPP_TEMPLATE_ID": "7",
        "LEADFLOOD_MESSAGING__WHATSAPP_PLACEHOLDERS": json.dumps(["name", *more]),
        "LEADFLOOD_MESSAGING__WHATSAPP_PARAMETERS": parameters,
    }


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"LEADFLOOD_DATABASE__POOL_SIZE": "0"}, "database.pool_size: write a number from 1"),
        ({"LEADFLOOD_ENGINE__GRACE_SECONDS": "-1"}, "engine.grace_seconds: write a number from 0"),
        ({"LEADFLOOD_ENGINE__GRACE_SECONDS": "nan"}, "engine.grace_seconds: write a number"),
        (
            {"LEADFLOOD_MESSAGING__SENDER_NAME": "Ann\u202eB"},
            "messaging.sender_name: write it on one line, all of it visible",
        ),
        (
            {"LEADFLOOD_PROVIDERS__HUNTER__API_KEY": "k\r\nX: y"},
            "providers.hunter.api_key: write it on one line, all of it visible",
        ),
        ({"LEADFLOOD_HTTP__PORT": "70000"}, "http.port: write a number up to 65535"),
        ({"LEADFLOOD_LOG__LEVEL": "loud"}, "log.level"),
        ({"LEADFLOOD_MODE": "both"}, "mode"),
        ({"LEADFLOOD_ENRICHMENT__ORDER": '["apollo", "google"]'}, "enrichment.order: 'google'"),
        (
            {"LEADFLOOD_ENRICHMENT__ORDER": '["apollo", "smtp"]'},
            f"enrichment.order: 'smtp': use {', '.join(ENRICHER_NAMES)}",
        ),
        ({"LEADFLOOD_STAGES__SCORING__BATCH": "1"}, "stages.scoring: there is no such stage"),
        ({"LEADFLOOD_STAGES__SCORING__COMPUTE__BATCH": "0"}, "stages.scoring.compute.batch"),
        ({"LEADFLOOD_STAGES__SCORING__COMPUTE__SIZE": "1"}, "stages.scoring.compute"),
        ({"LEADFLOOD_STAGES": "1", "LEADFLOOD_STAGES__X": "1"}, "stages.x: there is no such"),
        ({"LEADFLOOD_PROVIDERS__GOOGLE__API_KEY": "k"}, "providers.google: there is no such"),
        ({"LEADFLOOD_PROVIDERS__PDL__ENABLED": "perhaps"}, "providers.pdl.enabled"),
        ({"LEADFLOOD_PROVIDERS__PDL__KEY": "k"}, "providers.pdl: Object contains unknown field"),
        ({"LEADFLOOD_DATA__X": "1"}, "data"),
        ({"LEADFLOOD_HTTP__TOKEN_FILE": "/nowhere"}, "LEADFLOOD_HTTP__TOKEN_FILE"),
        ({"LEADFLOOD_HTTP__TOKEN": "a"}, "http.token"),
        ({"LEADFLOOD_HTTP__TOKEN": "a" * 31}, "http.token"),
        ({"LEADFLOOD_HTTP": "1", "LEADFLOOD_HTTP__PORT__X": "1"}, "http.port"),
        (
            whatsapp('["{{ first_name }}"]'),
            "messaging.whatsapp_parameters[0]: say what stands where first_name is not known",
        ),
        (whatsapp('["{{ nobody }}"]'), "parameters[0]: there is no merge field 'nobody'"),
        (
            whatsapp('["{{ offer }}"]', "x"),
            "messaging.whatsapp_parameters: write one text for each",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_path(environment: dict[str, str], words: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_settings(environment=environment)

    assert words in str(caught.value)


@pytest.mark.parametrize("header", ["[stages.enrichment.run]", '[stages."enrichment.run"]'])
def test_a_stage_keeps_its_own_defaults_where_the_settings_say_nothing(
    tmp_path: Path, header: str
) -> None:
    file = tmp_path / "f.toml"
    file.write_text(f"{header}\nconcurrency = 3", "utf-8")

    settings = load_settings(file, {"LEADFLOOD_STAGES__ENRICHMENT__RUN__BATCH": "7"})

    default = STAGES["enrichment.run"].default_policy
    expected = msgspec.structs.replace(default, concurrency=3, batch=7)
    assert settings.stages["enrichment.run"] == expected
    assert settings.stages["scoring.compute"] == STAGES["scoring.compute"].default_policy
    sources = {path: source for path, _, source in explain_settings(settings)}
    assert sources["stages.enrichment.run.concurrency"] == "file"
    assert sources["stages.enrichment.run.batch"] == "environment"
    assert sources["stages.enrichment.run.attempts"] == "default"


def test_the_waterfall_goes_through_the_catalog_in_its_order_by_default() -> None:
    input_file = {"LEADFLOOD_ENRICHMENT__VERIFY": "false"}

    assert load_settings(environment={}).enrichment.order == ENRICHER_NAMES
    assert load_settings(environment=input_file).enrichment.order == ENRICHER_NAMES


def test_a_table_that_the_file_has_as_one_value_is_named(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text("http = 3", "utf-8")

    with pytest.raises(Invalid, match="make it a table"):
        load_settings(file, {"LEADFLOOD_HTTP__PORT": "1"})


def test_the_environment_wins_over_the_file_and_our_own_name_over_the_common_one(
    tmp_path: Path,
) -> None:
    file = tmp_path / "f.toml"
    file.write_text('[database]\nurl = "postgresql://file/x"', "utf-8")
    common = {"DATABASE_URL": "postgresql://common/x"}

    both = common | {"LEADFLOOD_DATABASE__URL": "postgresql://own/x"}

    assert load_settings(file, {}).database.url == "postgresql://file/x"
    assert load_settings(file, common).database.url == "postgresql://common/x"
    assert load_settings(file, both).database.url == "postgresql://own/x"


def test_a_cap_can_be_taken_away() -> None:
    settings = load_settings(environment={"LEADFLOOD_BUDGET__RUN_MICROS": "null"})

    assert settings.budget.run_micros is None


def test_no_listing_tells_a_password() -> None:
    input_file = {
        "DATABASE_URL": "postgresql://me:hunter2@h/x",
        "LEADFLOOD_PROVIDERS__SMTP__BASE_URL": "smtp://me:hunter2@mail.example:587",
        "LEADFLOOD_HTTP__TOKEN": "hunter2" * 5,
    }

    listed = dict(list_settings(load_settings(environment=input_file)))

    assert "hunter2" not in str(listed)
    assert listed["providers.smtp.base_url"] == "smtp://me:******@mail.example:587"


def test_every_variable_of_the_example_is_a_setting() -> None:
    text = (CONFIG / "example.env").read_text("utf-8")
    values = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    filled = {
        name: value or ("5" if name.endswith("MICROS") else "x" * 32)
        for name, value in values.items()
    }

    settings = load_settings(environment=filled)

    assert settings.database.url.startswith("postgresql://")
    assert settings.budget.run_micros == 5_000_000
    assert settings.providers["smtp"].base_url == "smtp://user@mail.example:587"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:p@ss@host/path", "https://user:******@host/path"),
        ("https://u:pa/ss@h", "https://u:******@h"),
        ("https://u:pa?ss@h", "https://u:******@h"),
        ("https://token@host", "https://******@host"),
        ("https://host/v1?api_key=secret", "https://host/v1?******"),
        ("https://host/v1#token=secret", "https://host/v1?******"),
        ("user:p@ss@host:4318", "user:******@host:4318"),
        ("https://host:4318/v1/traces", "https://host:4318/v1/traces"),
        ("mailto:stop@ours.example", "mailto:stop@ours.example"),
        ("ann@ours.example", "ann@ours.example"),
    ],
)
def test_what_an_address_holds_of_secrets_is_masked(text: str, shown: str) -> None:
    tree = {"trace": {"endpoint": text}, "http": {"public_url": text}}
    listed = dict(list_settings(convert(tree)))

    assert listed["trace.endpoint"] == shown
    assert listed["http.public_url"] == shown


def test_a_providers_own_switches_and_numbers_from_the_environment_are_no_texts() -> None:
    name = "LEADFLOOD_PROVIDERS__SMTP__EXTRA__"

    settings = load_settings(
        environment={
            f"{name}STARTTLS": "false",
            f"{name}RETRY_SECONDS": "2.5",
            f"{name}LOCAL_HOSTNAME": "mail.acme.example",
        }
    )

    assert settings.providers["smtp"].extra == {
        "starttls": False,
        "retry_seconds": 2.5,
        "local_hostname": "mail.acme.example",
    }
