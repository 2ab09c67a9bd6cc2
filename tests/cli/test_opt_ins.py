from typing import Any
from uuid import UUID

from leadflood.engine.db.pool import Database
from tests.cli.conftest import OnDatabase
from tests.support.cli import Cli
from tests.support.messaging import World

GIVEN = ("--wording", "Write to me", "--source", "a fair", "--obtained-at", "2026-01-02T10:00:00")


def a_lead(on_database: OnDatabase) -> UUID:
    async def make(database: Database) -> UUID:
        return await World(database).lead(phone="+31620000000")

    lead_id: UUID = on_database(make)
    return lead_id


def listed(cli: Cli, lead: UUID) -> Any:
    return cli("opt-ins", "list", lead, "--json").json


def test_an_opt_in_is_added_listed_and_removed(cli: Cli, on_database: OnDatabase) -> None:
    lead = a_lead(on_database)

    added = cli("opt-ins", "add", lead, "whatsapp", *GIVEN)
    [live] = listed(cli, lead)
    removed = cli("opt-ins", "remove", lead, "whatsapp", "--reason", "asked")

    assert (added.code, removed.code) == (0, 0), added.err + removed.err
    assert "+31***00 has agreed to whatsapp" in added.out
    assert (live["wording"], live["obtainedAt"]) == ("Write to me", "2026-01-02T10:00:00Z")
    assert [entry["withdrawnReason"] for entry in listed(cli, lead)] == ["asked"]
    assert "a fair" in cli("opt-ins", "list", lead).out


def test_an_opt_in_that_cannot_be_recorded_is_refused(cli: Cli, on_database: OnDatabase) -> None:
    lead = a_lead(on_database)

    for words in (("add", lead, "fax", *GIVEN), ("add", UUID(int=1), "sms", *GIVEN)):
        assert cli("opt-ins", *words).code != 0
    nothing = cli("opt-ins", "remove", lead, "whatsapp")

    assert (nothing.code, "has not agreed to whatsapp" in nothing.err) == (1, True)


def test_evidence_has_the_limits_that_it_has_over_http(cli: Cli, on_database: OnDatabase) -> None:
    lead = a_lead(on_database)

    for wording, source in (("x" * 2_001, "a fair"), ("Write to me", "x" * 501), ("", "a fair")):
        words = ("--wording", wording, "--source", source)
        refused = cli("opt-ins", "add", lead, "whatsapp", *words)
        assert (refused.code, "--wording or --source" in refused.err) == (2, True), refused.err
