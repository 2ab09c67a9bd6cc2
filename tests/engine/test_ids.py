"""Ids: UUIDv7, in order within a process, their age inside."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from hypothesis import given, settings, strategies as st
from leadflood.engine.clock import ManualClock
from leadflood.engine.ids import Ids, id_at


def test_ids_are_version_seven_of_the_standard() -> None:
    ids_ = Ids(ManualClock()).new()

    assert (ids_.version, ids_.variant) == (7, RFC_4122)
    assert UUID(str(ids_)) == ids_
    assert hash(UUID(str(ids_))) == hash(ids_)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from([1, 7, 5_000]), st.integers(-5, 5)), max_size=4))
def test_each_id_is_greater_than_all_before_even_if_the_clock_goes_back(
    steps: list[tuple[int, int]],
) -> None:
    clock = ManualClock()
    ids, ids_ = Ids(clock), []

    for count, move_ms in steps:
        ids_ += ids.take(count)
        clock.advance(move_ms / 1000)

    assert ids_ == sorted(ids_)
    assert len(set(ids_)) == len(ids_)
    assert all(one.version == 7 for one in ids_)


def made_at(id_: UUID) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=id_.int >> 80)


def test_an_id_tells_when_it_was_made() -> None:
    clock = ManualClock()

    ids_ = Ids(clock).new()

    assert made_at(ids_) == clock.now()


def test_ids_of_an_instant_stand_between_its_bounds() -> None:
    clock = ManualClock()

    ids_ = Ids(clock).take(4_000)

    assert id_at(clock.now()) <= ids_[0]
    assert ids_[-1] < id_at(clock.now() + timedelta(milliseconds=1))


def test_the_bound_of_an_instant_is_a_version_seven_id() -> None:
    bound = id_at(datetime(2026, 1, 5, tzinfo=UTC))

    assert (bound.version, bound.variant) == (7, RFC_4122)
    assert made_at(bound) == datetime(2026, 1, 5, tzinfo=UTC)


def test_equal_seeds_make_equal_ids_and_others_do_not() -> None:
    first, repeated, different = (Ids(ManualClock(), seed).take(3) for seed in (1, 1, 2))

    assert first == repeated
    assert first != different


def test_an_id_tells_its_age() -> None:
    instant = datetime(2026, 1, 5, tzinfo=UTC)

    assert id_at(instant) < id_at(instant + timedelta(milliseconds=1))
