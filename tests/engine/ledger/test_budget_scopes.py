"""Whose caps a call counts against."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given, strategies as st
from leadflood.engine.ledger.budget_scopes import (
    charge_of,
    seconds_to_next_day,
    seconds_to_next_month,
)
from leadflood.engine.net.ledger_port import Purchase
from leadflood.engine.net.shares import split_evenly

MADE_AT = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)


def a_purchase(run_id: UUID | None, subjects: tuple[str, ...], micros: int) -> Purchase:
    return Purchase(
        reference=uuid4(),
        provider="acme",
        operation="people.match",
        run_id=run_id,
        job_id=None,
        max_cost_micros=micros,
        subjects=subjects,
        shares=split_evenly(micros, len(subjects)),
        question_hash=b"",
        made_at=MADE_AT,
    )


@given(st.integers(0, 10**12), st.integers(1, 200))
def test_shares_sum_to_the_amount_exactly_and_differ_by_one_at_most(
    micros: int, count: int
) -> None:
    shares = split_evenly(micros, count)

    assert sum(shares) == micros
    assert len(shares) == count
    assert max(shares) - min(shares) <= 1


def test_a_call_counts_by_day_month_provider_run_and_lead() -> None:
    run_id = uuid4()
    purchase = a_purchase(run_id, ("a", "b"), 7)

    moves: dict[str, int] = {}
    charge_of(purchase, 7, purchase.shares, has_lead_cap=True).add_to(moves)

    assert moves == {
        "all:day:2026-12-31": 7,
        "all:month:2026-12": 7,
        "provider:acme:day:2026-12-31": 7,
        "provider:acme:month:2026-12": 7,
        f"run:{run_id}": 7,
        f"lead:{run_id}:a": 4,
        f"lead:{run_id}:b": 3,
    }


def test_a_free_call_counts_against_nothing() -> None:
    free = charge_of(a_purchase(uuid4(), ("a",), 0), 0, (0,), has_lead_cap=True)

    assert (free.scopes, free.leads) == ((), ())


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001 - made aware below
def test_caps_renew_at_the_next_utc_midnight_and_month(naive: datetime) -> None:
    now = naive.replace(tzinfo=UTC)

    day = now + timedelta(seconds=seconds_to_next_day(now))
    month = now + timedelta(seconds=seconds_to_next_month(now))

    assert (day.hour, day.minute, day.second) == (0, 0, 0)
    assert (month.day, month.hour, month.second) == (1, 0, 0)
    assert now < day <= month
