"""Where work from outside enters the queue."""

import pytest
from leadflood.engine.queue import entry_turns
from leadflood.engine.queue.entry_turns import Entries, EntryTurns


def test_each_source_takes_one_turn_after_the_other() -> None:
    turns = EntryTurns()

    assert [turns.take("a", 5) for _ in range(3)] == [5, 6, 7]
    assert turns.take("b", 5) == 5


def test_a_source_that_fell_behind_enters_where_the_others_are() -> None:
    turns = EntryTurns()
    turns.take("a", 0)

    assert turns.take("a", 40) == 40


def test_sources_begin_anew_when_nothing_waits() -> None:
    turns = EntryTurns()
    turns.take("", 0)

    assert Entries(turns, None, {}).take(None) == 0


def test_as_many_sources_are_remembered_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_turns, "MOST_SOURCES", 2)
    turns = EntryTurns()

    for source in ("a", "b", "a", "c"):
        turns.take(source, 0)

    assert len(turns._next) == 2
    assert turns.take("a", 0) == 2
