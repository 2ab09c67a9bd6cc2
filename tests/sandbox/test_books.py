"""What the pretend world writes down."""

from decimal import Decimal
from pathlib import Path

import pytest
from leadflood.sandbox.books import Books, Delivery, Entry

_AT = "2026-01-05T09:00:00+00:00"


def _charge(reference: str, micros: int) -> Entry:
    return Entry(
        at=_AT,
        provider="apollo",
        operation="people.match",
        status=200,
        reference=reference,
        credits=Decimal(1),
        amount_micros=micros,
    )


def _mail(reference: str, key: str) -> Entry:
    delivery = Delivery(recipient="mira@x.example", key=key)
    return Entry(
        at=_AT,
        provider="smtp",
        operation="send",
        status=250,
        reference=reference,
        delivery=delivery,
    )


def test_only_what_costs_is_on_the_invoice(tmp_path: Path) -> None:
    with Books(tmp_path) as books:
        books.record(Entry(at=_AT, provider="apollo", operation="people.search", status=200))
        books.record(_charge("a", 20_000))

        lines = books.invoice()

    assert [(line.number, line.reference, line.amount_micros) for line in lines] == [
        (1, "a", 20_000)
    ]


def test_a_message_that_came_twice_is_counted_twice(tmp_path: Path) -> None:
    with Books(tmp_path) as books:
        for reference in ("r1", "r2"):
            books.record(_mail(reference, "<one@x>"))
        books.record(_mail("r3", "<two@x>"))

        mails = {mail.key: mail for mail in books.mails()}

    assert mails["<one@x>"].count == 2
    assert mails["<one@x>"].references == ("r1", "r2")
    assert mails["<two@x>"].count == 1


def test_a_restarted_world_goes_on_with_the_same_books(tmp_path: Path) -> None:
    with Books(tmp_path) as books:
        books.record(_charge("a", 20_000))
        books.record(_mail("r1", "<one@x>"))
    with Books(tmp_path) as again:
        again.record(_charge("b", 20_000))

        assert [line.reference for line in again.invoice()] == ["a", "b"]
        assert again.credits["apollo"] == 2
        assert again.visits == {"apollo": 2, "smtp": 1}
        assert [mail.count for mail in again.mails()] == [1]


def test_a_line_torn_by_a_kill_is_dropped(tmp_path: Path) -> None:
    with Books(tmp_path) as books:
        books.record(_charge("a", 20_000))
    with books.path.open("ab") as file:
        file.write(b'{"at":"2026-01-05T09:00:00+00:00","prov')

    with Books(tmp_path) as again:
        again.record(_charge("b", 20_000))
    with Books(tmp_path) as third:
        references = [line.reference for line in third.invoice()]

    assert references == ["a", "b"]


def test_every_line_is_with_the_system_before_record_returns(tmp_path: Path) -> None:
    with Books(tmp_path) as books:
        books.record(_charge("a", 1))

        assert books.path.read_bytes().endswith(b"\n")


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    books = Books(tmp_path)

    books.close()
    books.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        books.record(_charge("a", 1))
