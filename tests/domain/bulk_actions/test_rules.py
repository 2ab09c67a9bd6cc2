from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given, strategies as st
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.bulk_actions.rules import CHANGED_SINCE, plan_change, plan_undo
from leadflood.domain.bulk_actions.schemas import (
    UNDOABLE,
    BulkAction,
    ItemState,
    Parameters,
    PlannedChange,
    PreviousState,
    StoredAction,
)
from leadflood.domain.leads.schemas.lead_states import MOST_TAGS, LeadState

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
WORDS = st.sampled_from(["a", "b", "c", "d"])


ANN, BOB, CARL = UUID(int=101), UUID(int=102), UUID(int=103)
OWNERS = st.none() | st.sampled_from([str(ANN), str(BOB)])


def an_action(
    action: BulkAction,
    visibility: Visibility = EVERYTHING,
    *,
    owner: str | None = None,
    tag: str = "",
) -> StoredAction:
    return StoredAction(
        run_id=UUID(int=1),
        action=action,
        parameters=Parameters(owner=owner, tag=tag),
        filter_text=None,
        item_count=1,
        undoes=None,
        visibility=visibility,
        created_at=NOW,
        created_by="user:1",
    )


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
def actions(draw: st.DrawFn) -> StoredAction:
    action = draw(st.sampled_from(sorted(UNDOABLE)))
    visibility = draw(st.sampled_from([EVERYTHING, Visibility(ANN)]))
    return an_action(action, visibility, owner=draw(OWNERS), tag=draw(WORDS))


def previous(lead: LeadState, change: PlannedChange) -> PreviousState:
    assert change.after is not None
    return PreviousState(
        owner=lead.owner,
        tags=lead.tags,
        tags_after=change.after.tags,
        deleted_at=lead.deleted_at,
        deleted_by=lead.deleted_by,
        ended_at=NOW,
    )


@given(actions(), leads())
def test_an_undo_right_away_restores_the_lead_exactly(
    action: StoredAction, lead: LeadState
) -> None:
    change = plan_change(action, lead, NOW)
    if change.after is None:
        assert change.state in {ItemState.UNCHANGED, ItemState.REFUSED}
        return

    anybody = msgspec.structs.replace(action, visibility=EVERYTHING)
    undone = plan_undo(anybody, previous(lead, change), change.after)

    assert undone.after == lead


@given(actions(), leads())
def test_a_refusal_has_a_code_and_a_change_has_an_effect(
    action: StoredAction, lead: LeadState
) -> None:
    change = plan_change(action, lead, NOW)

    assert (change.state is ItemState.REFUSED) == (change.code is not None)
    assert (change.state is ItemState.DONE) == (change.after is not None)
    assert change.after != lead


@given(actions(), leads())
def test_hidden_leads_are_not_found(action: StoredAction, lead: LeadState) -> None:
    hidden = msgspec.structs.replace(action, visibility=Visibility(CARL))

    assert plan_change(hidden, lead, NOW).code == "leads.not_found"
    assert plan_undo(hidden, PreviousState(), lead).code == "leads.not_found"


@given(actions(), leads())
def test_an_action_done_twice_changes_nothing_the_second_time(
    action: StoredAction, lead: LeadState
) -> None:
    change = plan_change(action, lead, NOW)
    if change.after is None:
        return

    again = plan_change(msgspec.structs.replace(action, visibility=EVERYTHING), change.after, LATER)

    assert again.after is None


def test_later_changes_by_others_survive_an_undo() -> None:
    lead = LeadState(id=UUID(int=7), version=1, owner=str(ANN), tags=("a",))
    later: dict[BulkAction, dict[str, Any]] = {
        BulkAction.ASSIGN: {"owner": str(CARL)},
        BulkAction.TAG: {"tags": ("a",)},
        BulkAction.DELETE: {"deleted_at": LATER, "deleted_by": "user:2"},
    }

    for kind, since in later.items():
        action = an_action(kind, owner=str(BOB), tag="b")
        change = plan_change(action, lead, NOW)
        assert change.after is not None
        changed = msgspec.structs.replace(change.after, **since)
        assert plan_undo(action, previous(lead, change), changed).code == CHANGED_SINCE


def test_an_undo_removes_its_own_tag_and_keeps_later_ones() -> None:
    lead = LeadState(id=UUID(int=7), version=1, tags=("b", "a"))
    action = an_action(BulkAction.TAG, tag="c")
    change = plan_change(action, lead, NOW)
    assert change.after is not None

    since = msgspec.structs.replace(change.after, tags=("a", "b", "c", "d"))
    undone = plan_undo(action, previous(lead, change), since)

    assert undone.after is not None
    assert undone.after.tags == ("a", "b", "d")


def test_a_lead_with_the_maximum_of_tags_gets_no_more() -> None:
    tags = tuple(f"t{number:02}" for number in range(MOST_TAGS))
    lead = LeadState(id=UUID(int=7), version=1, tags=tags)

    assert plan_change(an_action(BulkAction.TAG, tag="x"), lead, NOW).code == "leads.tag.too_many"
    assert plan_change(an_action(BulkAction.TAG, tag="t01"), lead, NOW).state is ItemState.UNCHANGED


def test_a_lead_that_is_gone_is_not_found() -> None:
    assert plan_change(an_action(BulkAction.DELETE), None, NOW).code == "leads.not_found"
    assert plan_undo(an_action(BulkAction.DELETE), PreviousState(), None).code == "leads.not_found"
