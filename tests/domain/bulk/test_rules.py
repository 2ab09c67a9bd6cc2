from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given, strategies as st
from leadflood.domain.bulk.rules import CHANGED_SINCE, decide, decide_undo
from leadflood.domain.bulk.schemas import (
    UNDOABLE,
    Action,
    Before,
    Decision,
    ItemState,
    Parameters,
    Verb,
)
from leadflood.domain.leads.schemas import MOST_TAGS, LeadState

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
WORDS = st.sampled_from(["a", "b", "c", "d"])
OWNERS = st.none() | st.sampled_from(["ann", "bob"])


def an_action(verb: Verb, *, sees_owner: str | None = None, **parameters: str | None) -> Action:
    return Action(
        run_id=UUID(int=1), verb=verb, parameters=Parameters(**parameters),  # type: ignore[arg-type]  # as given
        filter_text=None, item_count=1, undoes=None, sees_owner=sees_owner, created_at=NOW,
        created_by="user:1",
    )  # fmt: skip


@st.composite
def leads(draw: st.DrawFn) -> LeadState:
    is_deleted = draw(st.booleans())
    return LeadState(
        id=UUID(int=7),
        version=draw(st.integers(1, 9)),
        owner=draw(OWNERS),
        tags=tuple(sorted(draw(st.sets(WORDS)))),
        deleted_at=NOW - timedelta(days=1) if is_deleted else None,
        deleted_by="user:2" if is_deleted else None,
        merged_into=draw(st.none() | st.just(UUID(int=3))),
    )


@st.composite
def actions(draw: st.DrawFn) -> Action:
    verb = draw(st.sampled_from(sorted(UNDOABLE)))
    seen = draw(st.none() | st.just("ann"))
    return an_action(verb, sees_owner=seen, owner=draw(OWNERS), tag=draw(WORDS))


def kept(lead: LeadState, decision: Decision) -> Before:
    assert decision.after is not None
    return Before(
        owner=lead.owner, tags=lead.tags, tags_after=decision.after.tags,
        deleted_at=lead.deleted_at, deleted_by=lead.deleted_by, ended_at=NOW,
    )  # fmt: skip


@given(actions(), leads())
def test_undoing_at_once_gives_back_exactly_what_was(action: Action, lead: LeadState) -> None:
    done = decide(action, lead, NOW)
    if done.after is None:
        assert done.state in {ItemState.UNCHANGED, ItemState.REFUSED}
        return

    anybody = msgspec.structs.replace(action, sees_owner=None)
    undone = decide_undo(anybody, kept(lead, done), done.after)

    assert undone.after == lead


@given(actions(), leads())
def test_what_is_refused_says_why_and_what_is_done_changes_something(
    action: Action, lead: LeadState
) -> None:
    decision = decide(action, lead, NOW)

    assert (decision.state is ItemState.REFUSED) == (decision.code is not None)
    assert (decision.state is ItemState.DONE) == (decision.after is not None)
    assert decision.after != lead


@given(actions(), leads())
def test_nobody_changes_what_he_does_not_see(action: Action, lead: LeadState) -> None:
    hidden = msgspec.structs.replace(action, sees_owner="somebody else")

    assert decide(hidden, lead, NOW).code == "leads.not_found"
    assert decide_undo(hidden, Before(), lead).code == "leads.not_found"


@given(actions(), leads())
def test_doing_it_twice_changes_nothing_the_second_time(action: Action, lead: LeadState) -> None:
    done = decide(action, lead, NOW)
    if done.after is None:
        return

    again = decide(msgspec.structs.replace(action, sees_owner=None), done.after, LATER)

    assert again.after is None


def test_what_somebody_changed_since_stays() -> None:
    lead = LeadState(id=UUID(int=7), version=1, owner="ann", tags=("a",))
    changes: dict[Verb, dict[str, Any]] = {
        Verb.ASSIGN: {"owner": "carl"},
        Verb.TAG: {"tags": ("a",)},
        Verb.DELETE: {"deleted_at": LATER, "deleted_by": "user:2"},
    }

    for verb, since in changes.items():
        action = an_action(verb, owner="bob", tag="b")
        done = decide(action, lead, NOW)
        assert done.after is not None
        changed = msgspec.structs.replace(done.after, **since)
        assert decide_undo(action, kept(lead, done), changed).code == CHANGED_SINCE


def test_a_tag_is_taken_back_beside_those_given_since() -> None:
    lead = LeadState(id=UUID(int=7), version=1, tags=("b", "a"))
    action = an_action(Verb.TAG, tag="c")
    done = decide(action, lead, NOW)
    assert done.after is not None

    since = msgspec.structs.replace(done.after, tags=("a", "b", "c", "d"))
    undone = decide_undo(action, kept(lead, done), since)

    assert undone.after is not None
    assert undone.after.tags == ("a", "b", "d")


def test_a_lead_with_all_its_tags_gets_no_more() -> None:
    tags = tuple(f"t{number:02}" for number in range(MOST_TAGS))
    lead = LeadState(id=UUID(int=7), version=1, tags=tags)

    assert decide(an_action(Verb.TAG, tag="x"), lead, NOW).code == "leads.tag.too_many"
    assert decide(an_action(Verb.TAG, tag="t01"), lead, NOW).state is ItemState.UNCHANGED


def test_a_lead_that_is_gone_is_not_found() -> None:
    assert decide(an_action(Verb.DELETE), None, NOW).code == "leads.not_found"
    assert decide_undo(an_action(Verb.DELETE), Before(), None).code == "leads.not_found"
