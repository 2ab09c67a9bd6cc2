from pathlib import Path

from leadflood.engine.db.pool import Database
from tests.cli.conftest import OnDatabase
from tests.support.cli import Cli, write_lines
from tests.support.messaging import World

TEXT = (
    'name = "first_touch"',
    'channel = "email"',
    'subject = "Hello {{ first_name }}"',
    'body = "Hi {{ first_name }}, {{ offer }}"',
)


def test_a_template_is_listed_set_shown_and_used_for_drafts(
    cli: Cli, on_database: OnDatabase, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "text.toml", TEXT)

    async def subject(database: Database) -> str:
        world = World(database)
        await world.drafted([await world.lead()], await world.run(), await world.icp())
        [message] = await world.messages.list()
        return message.subject

    [built_in] = cli("templates", "list", "--json").json
    stored_types = cli("templates", "set", file)
    [stored] = cli("templates", "list", "--json").json

    assert (built_in["version"], stored["version"], stored["isUsed"]) == (0, 1, True)
    assert "first_touch for email is at version 1" in stored_types.out
    assert "Hi {{ first_name }}" in cli("templates", "show", "first_touch").out
    assert cli("templates", "show", stored["id"], "--json").json == [stored]
    assert "first_touch" in cli("templates", "list").out
    assert on_database(subject) == "Hello Ada"


def test_a_template_is_previewed_before_it_is_recorded(cli: Cli, tmp_path: Path) -> None:
    good = write_lines(tmp_path / "good.toml", TEXT)
    bad = write_lines(tmp_path / "bad.toml", [*TEXT[:3], 'body = "Hi {{ frist_name }}"'])
    odd = write_lines(tmp_path / "odd.toml", ["name ="])

    tried = cli("templates", "preview", good, "--offer", "See http://elsewhere.example now")
    refused = cli("templates", "preview", bad)

    assert "Hi Ada" in tried.out
    assert refused.code == 1
    assert "frist_name" in refused.err
    assert cli("templates", "set", odd).code != 0
    assert cli("templates", "show", "nothing").code == 1
    assert cli("templates", "set", tmp_path / "none.toml").code != 0
