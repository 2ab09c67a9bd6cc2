from pathlib import Path

import pytest
from leadflood.engine.errors import Invalid
from leadflood.settings import convert, explain_settings, load_settings

from tests.support.api import Client

pytestmark = pytest.mark.pg


async def test_every_setting_is_shown_with_its_source_and_no_secret(api: Client) -> None:
    settings = {setting["path"]: setting for setting in (await api.get("/v1/admin/settings")).json}

    assert settings["engine.grace_seconds"]["source"] == "default"
    assert settings["mode"] == {"path": "mode", "value": "sandbox", "source": "command"}
    assert not [path for path in settings if path.startswith("sources")]


async def test_a_setting_made_by_hand_is_shown_as_live_until_it_is_taken_back(api: Client) -> None:
    path = "/v1/admin/providers/pdl"
    await api.ask("PATCH", path, {"dayCapMicros": 12})

    live = {setting["path"]: setting for setting in (await api.get("/v1/admin/settings")).json}
    await api.ask("PATCH", path, {"dayCapMicros": None})
    back = {setting["path"]: setting for setting in (await api.get("/v1/admin/settings")).json}

    name = "providers.pdl.day_cap_micros"
    assert (live[name]["value"], live[name]["source"]) == ("12", "live")
    assert (back[name]["value"], back[name]["source"]) == ("", "default")


def test_a_setting_says_whether_file_environment_or_secret_file_set_it(tmp_path: Path) -> None:
    file, secret = tmp_path / "leadflood.toml", tmp_path / "token"
    file.write_text("[http]\nport = 6000\nhost = '127.0.0.1'\n")
    secret.write_text("t" * 32)
    environment = {
        "LEADFLOOD_HTTP__PORT": "7000",
        "LEADFLOOD_HTTP__TOKEN_FILE": str(secret),
        "DATABASE_URL": "postgresql://a:b@h/d",
    }

    explained = {
        path: (value, source)
        for path, value, source in explain_settings(load_settings(file, environment))
    }

    assert explained["http.port"] == ("7000", "environment")
    assert explained["http.host"] == ("127.0.0.1", "file")
    assert explained["http.token"][1] == "secret file"
    assert "t" * 32 not in explained["http.token"][0]
    assert explained["database.url"][1] == "environment"
    assert explained["log.level"][1] == "default"


def test_the_source_of_a_setting_cannot_be_set() -> None:
    with pytest.raises(Invalid, match="sources"):
        convert({"sources": {"a": "b"}})
