"""What the pretend world writes down."""

from decimal import Decimal
from pathlib import Path

import pytest
from leadflood.sandbox.journal import Delivery, Journal, JournalEntry

_AT = "2026-01-05T09:00:00+00:00"


def _charge(reference: str, micros: int) -> JournalEntry:
    return JournalEntry(
        at=_AT,
        provider="apollo",
        operation="people.match",
        status=200,
        reference=reference,
        credits=Decimal(1),
        amount_micros=micros,
    )


def _mail(reference: str, key: str) -> JournalEntry:
    delivery = Delivery(recipient="mira@x.example", key=key)
    return JournalEntry(
        at=_AT,
        provider="smtp",
        operation="send",
        status=250,
        reference=reference,
        delivery=delivery,
    )


def test_only_what_costs_is_on_the_invoice(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.record(
            JournalEntry(at=_AT, provider="apollo", operation="people.search", status=200)
        )
        journal.record(_charge("a", 20_000))

        lines = journal.list_invoice_lines()

    assert [(line.number, line.reference, line.amount_micros) for line in lines] == [
        (1, "a", 20_000)
    ]


def test_a_message_that_came_twice_is_counted_twice(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for reference in ("r1", "r2"):
            journal.record(_mail(reference, "<one@x>"))
        journal.record(_mail("r3", "<two@x>"))

        messages = {message.key: message for message in journal.list_messages()}

    assert messages["<one@x>"].count == 2
    assert messages["<one@x>"].references == ("r1", "r2")
    assert messages["<two@x>"].count == 1


def test_a_restarted_world_continues_the_same_journal(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.record(_charge("a", 20_000))
        journal.record(_mail("r1", "<one@x>"))
    with Journal(tmp_path) as again:
        again.record(_charge("b", 20_000))

        assert [line.reference for line in again.list_invoice_lines()] == ["a", "b"]
        assert again.credits["apollo"] == 2
        assert again.request_counts == {"apollo": 2, "smtp": 1}
        assert [mail.count for mail in again.list_messages()] == [1]


def test_a_line_torn_by_a_kill_is_dropped(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.record(_charge("a", 20_000))
    with journal.path.open("ab") as file:
        file.write(b'{"at":"2026-01-05T09:00:00+00:00","prov')

    with Journal(tmp_path) as again:
        again.record(_charge("b", 20_000))
    with Journal(tmp_path) as third:
        references = [line.reference for line in third.list_invoice_lines()]

    assert references == ["a", "b"]


def test_every_line_is_with_the_system_before_record_returns(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.record(_charge("a", 1))

        assert journal.path.read_bytes().endswith(b"\n")


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    journal = Journal(tmp_path)

    journal.close()
    journal.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        journal.record(_charge("a", 1))
