"""What is changed at the terminal is on record as it is over HTTP."""

from uuid import UUID

from leadflood.engine.db.pool import Database
from tests.cli.conftest import OnDatabase
from tests.support.cli import Cli
from tests.support.messaging import World
from tests.support.statements import sql

STAGE = "enrichment.run"
COMMANDS = {
    ("sending", "hold", "--reason", "a look"): "sending.held",
    ("sending", "release"): "sending.released",
    ("stage", "pause", STAGE): "stage.paused",
    ("stage", "resume", STAGE): "stage.resumed",
    ("stage", "drain", STAGE): "stage.drained",
    ("stage", "scale", STAGE, "3"): "stage.scaled",
    ("stage", "scale", STAGE, "default"): "stage.unscaled",
    ("provider", "off", "apollo"): "provider.stopped",
    ("provider", "reset", "apollo"): "provider.limits_reset",
    ("provider", "on", "apollo"): "provider.started",
    ("suppress", "add", "address", "ada@example.com"): "suppression.added",
    ("suppress", "remove", "address", "ada@example.com"): "suppression.lifted",
}


def acts_of(on_database: OnDatabase) -> list[tuple[str, str]]:
    async def read(database: Database) -> list[tuple[str, str]]:
        rows = await database.fetch(sql("SELECT action, actor FROM audit_event ORDER BY id"))
        return [(row["action"], row["actor"]) for row in rows]

    acts: list[tuple[str, str]] = on_database(read)
    return acts


def test_every_change_of_an_operator_is_on_record(cli: Cli, on_database: OnDatabase) -> None:
    codes = [cli(*command).code for command in COMMANDS]

    acts = acts_of(on_database)
    assert codes == [0] * len(COMMANDS)
    assert [action for action, _ in acts] == list(COMMANDS.values())
    assert all(name for _, name in acts)


def test_an_opt_in_recorded_at_the_terminal_is_on_record(cli: Cli, on_database: OnDatabase) -> None:
    lead_id: UUID = on_database(lambda database: World(database).lead(phone="+447400900123"))
    evidence = ("--wording", "Write to me", "--source", "a call")

    added = cli("opt-ins", "add", lead_id, "whatsapp", *evidence)
    removed = cli("opt-ins", "remove", lead_id, "whatsapp")

    assert (added.code, removed.code) == (0, 0), added.err + removed.err
    acts = [action for action, _ in acts_of(on_database)]
    assert acts == ["opt_in.recorded", "opt_in.withdrawn"]
