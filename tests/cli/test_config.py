"""`config/`: every setting stands there with its default."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from leadflood.settings import Settings, convert, load_settings

CONFIG = Path(__file__).parent.parent.parent / "config"


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


def test_every_setting_stands_in_the_settings_file() -> None:
    defaults = msgspec.to_builtins(Settings())

    missing = set(paths_of(defaults)) - set(paths_of(uncommented()))

    assert not missing, f"write these in config/leadflood.toml with a `#` before: {sorted(missing)}"


def test_what_has_no_default_is_named_in_the_settings_file() -> None:
    text = (CONFIG / "leadflood.toml").read_text("utf-8")

    unset = ("day_micros", "month_micros", "lead_micros", "day_cap_micros")

    assert all(name in text for name in unset)


def test_the_settings_file_as_it_stands_changes_nothing() -> None:
    settings = load_settings(CONFIG / "leadflood.toml", {})

    assert settings == Settings()


def test_every_variable_of_the_example_is_a_setting() -> None:
    text = (CONFIG / "example.env").read_text("utf-8")
    values = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    filled = {
        name: value or ("5" if name.endswith("MICROS") else "x") for name, value in values.items()
    }

    settings = load_settings(environment=filled)

    assert settings.database.url.startswith("postgresql://")
    assert settings.budget.run_micros == 5_000_000
    assert settings.providers["smtp"].base_url == "smtp://user@mail.example:587"
