from uuid import UUID

import pytest
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Unsure
from tests.cli.conftest import OnDatabase
from tests.support.cli import Cli
from tests.support.messaging import World

MAIL = {
    "LEADFLOOD_MESSAGING__SENDER_NAME": "Sam",
    "LEADFLOOD_MESSAGING__SENDER_ADDRESS": "sam@firm.example",
    "LEADFLOOD_MESSAGING__POSTAL_ADDRESS": "Firm, 1 Street",
    "LEADFLOOD_MESSAGING__UNSUBSCRIBE_MAILTO": "stop@firm.example",
}


def draft_one(on_database: OnDatabase) -> None:
    async def draft(database: Database) -> None:
        world = World(database)
        run_id, icp_id = await world.run(), await world.icp(autopilot=False)
        await world.drafted([await world.lead()], run_id, icp_id)

    on_database(draft)


def lose_one(on_database: OnDatabase) -> None:
    async def lose(database: Database) -> None:
        world = World(database)
        await world.release()
        [event] = await world.approved()
        job = await world.load_send(event)
        await world.authorize(job)
        await world.record(job, Unsure("cut"))

    on_database(lose)


@pytest.mark.parametrize(("word", "state"), [("sent", "accepted"), ("not-sent", "ready")])
def test_unknown_sends_are_offered_in_bulk_with_what_to_look_at(
    cli: Cli, on_database: OnDatabase, word: str, state: str
) -> None:
    lose_one(on_database)
    unknown = ("sending", "unknown")

    status, doctor = cli("status"), cli("doctor")
    too_early = cli(*unknown, "resolve-all", word, "--before", "2020-01-01", "--yes", "--json")
    other = cli(*unknown, "resolve-all", word, "--channel", "whatsapp", "--yes", "--json")
    result = cli(*unknown, "resolve-all", word, "--channel", "email", "--yes", "--json")
    counts = cli("sending", "status", "--json").json["counts"]

    for text in (status.out, doctor.out):
        assert "1 by email" in text
        assert "Message-ID" in text
        assert "resolve-all" in text
    assert too_early.json == other.json == {"resolved": 0}
    assert result.json == {"resolved": 1}
    assert counts == {state: 1}


def test_nothing_goes_again_in_bulk_without_a_yes(cli: Cli, on_database: OnDatabase) -> None:
    lose_one(on_database)

    refused = cli("sending", "unknown", "resolve-all", "not-sent")

    assert refused.code == 1
    assert len(cli("sending", "unknown", "list", "--json").json) == 1


def test_sending_is_held_and_released_with_who_and_why(cli: Cli) -> None:
    hold_result = cli("sending", "hold", "--reason", "a look", "--json").json
    data = cli("sending", "status")
    released = cli("sending", "release", "--json").json

    assert (hold_result["held"], hold_result["reason"]) == (True, "a look")
    assert "HELD" in data.out
    assert released["held"] is False


@pytest.mark.parametrize(("word", "state"), [("sent", "accepted"), ("not-sent", "ready")])
def test_an_unknown_send_is_resolved_by_an_operator(
    cli: Cli, on_database: OnDatabase, word: str, state: str
) -> None:
    lose_one(on_database)
    [lost] = cli("sending", "unknown", "list", "--json").json

    result = cli("sending", "unknown", "resolve", lost["id"], word, "--json")
    again = cli("sending", "unknown", "resolve", lost["id"], word)

    assert result.code == 0, result.err
    data = result.json
    assert data["state"] == state
    assert again.code == 1
    assert "only an unknown one is resolved" in again.err


def test_an_unknown_send_is_resolved_as_sent_or_not_sent(cli: Cli) -> None:
    assert cli("sending", "unknown", "resolve", UUID(int=1), "maybe").code == 2
    assert cli("sending", "unknown", "resolve", UUID(int=1), "sent").code == 1


def test_a_draft_is_shown_with_its_facts_and_approved(cli: Cli, on_database: OnDatabase) -> None:
    draft_one(on_database)
    [listed] = cli("messages", "list", "--state", "waiting", "--json").json

    result = cli("messages", "show", listed["id"])
    approved = cli("messages", "approve", listed["id"], "--json")
    shown = cli("messages", "show", listed["id"])
    again = cli("messages", "approve", listed["id"], "--json", **MAIL)

    assert "fact 1:" in result.out
    data = approved.json
    assert (approved.code, data["state"], data["intentState"]) == (0, "approved", "ready")
    assert data["intentCode"] == "waits_for_setup"
    assert "messaging.sender_name" in shown.out
    assert again.json["intentDetail"] == "set providers.smtp.base_url"


def test_a_draft_is_rejected(cli: Cli, on_database: OnDatabase) -> None:
    draft_one(on_database)
    [listed] = cli("messages", "list", "--json").json

    rejected = cli("messages", "reject", listed["id"], "--reason", "no")
    approved = cli("messages", "approve", listed["id"], **MAIL)

    assert rejected.code == 0, rejected.err
    assert approved.code == 1
    assert "is rejected" in approved.err


def test_a_message_that_does_not_exist_is_reported(cli: Cli) -> None:
    assert cli("messages", "show", UUID(int=1)).code == 1
    assert cli("messages", "show", "x").code == 2
    assert cli("messages", "list", "--state", "lost").code == 2


def test_the_suppression_list_is_kept_by_hash_and_hint(cli: Cli) -> None:
    added = cli("suppress", "add", "address", "Ann@Firm.example", "--reason", "asked", "--json")
    by_value = cli("suppress", "remove", "address", "ann@firm.example")
    line = cli("suppress", "add", "domain", "firm.example", "--json").json
    by_id = cli("suppress", "remove", line["id"])
    listed = cli("suppress", "list")

    data = added.json
    assert (data["kind"], data["reason"]) == ("address", "asked")
    assert "ann@firm.example" not in added.out.lower()
    assert (by_value.code, by_id.code) == (0, 0)
    assert "firm.example" not in listed.out


def test_a_value_that_cannot_be_suppressed_is_refused(cli: Cli) -> None:
    assert cli("suppress", "add", "address", "nobody").code == 1
    assert cli("suppress", "add", "planet", "earth").code == 2
    assert cli("suppress", "remove", "x").code == 2
    assert cli("suppress", "remove", "planet", "earth").code == 2
    assert cli("suppress", "remove", UUID(int=1)).code == 1
