from datetime import UTC, datetime, timedelta

from hypothesis import given, settings, strategies as st
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.provenance import (
    Standing,
    evidence_bytes,
    half_life_days,
    is_better,
    rank_of,
)

START = datetime(2020, 1, 1, tzinfo=UTC)
FIELDS = st.sampled_from(FieldName)
SURE = st.floats(0.01, 1.0)
DAYS = st.floats(0, 3000)
STANDINGS = st.tuples(
    st.booleans(),
    st.floats(-50, 50),
    st.integers(0, 2).map(lambda seconds: START + timedelta(seconds=seconds)),
    st.binary(min_size=1, max_size=3),
    st.text(max_size=3),
)


def decayed(field: FieldName, confidence: float, age_days: float) -> float:
    """Compute what the stored order stands for: confidence halves in each half-life."""
    return float(confidence * 0.5 ** (age_days / half_life_days(field)))


@settings(max_examples=300)
@given(FIELDS, SURE, DAYS, SURE, DAYS, DAYS)
def test_the_stored_order_is_the_order_of_decayed_confidence_at_any_time(
    field: FieldName, one: float, seen: float, other: float, seen_too: float, later: float
) -> None:
    now = max(seen, seen_too) + later
    first = decayed(field, one, now - seen)
    second = decayed(field, other, now - seen_too)
    ranks = [
        rank_of(field, sure, START + timedelta(days=days))
        for sure, days in ((one, seen), (other, seen_too))
    ]

    if abs(ranks[0] - ranks[1]) > 1e-6:
        assert (ranks[0] > ranks[1]) == (first > second)


@given(STANDINGS, STANDINGS)
def test_of_two_different_values_exactly_one_wins(one: Standing, other: Standing) -> None:
    assert is_better(one, other) + is_better(other, one) == (one != other)


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_a_person_wins_whatever_providers_say(typed: float, bought: float) -> None:
    assert is_better((True, typed, START, b"a", ""), (False, bought, START, b"b", ""))


@given(st.text(max_size=80))
def test_evidence_is_always_a_hash_unless_there_is_none(text: str) -> None:
    assert len(evidence_bytes(text)) in {0, 32}


def test_a_hash_in_hex_digits_is_kept() -> None:
    assert evidence_bytes("ab" * 32) == b"\xab" * 32
    assert evidence_bytes("") == b""
