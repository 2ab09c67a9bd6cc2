from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.errors import ProviderChanged, ProviderRefused, ProviderThrottled
from leadflood.contracts.values import Channel
from leadflood.domain.messaging.schemas import IntentState, MessageState
from leadflood.domain.messaging.sending import (
    Fate,
    IntentRow,
    News,
    Standing,
    fate_of,
    judge,
    next_state,
)
from leadflood.engine.context import Allow, Defer, Deny
from leadflood.engine.errors import Denied, NotConfigured, Throttled, Transient, Unsure
from leadflood.engine.net.calls import Cut, Oversized, Unreached
from leadflood.engine.queue.outcome import Cancelled

NOW = datetime(2026, 11, 22, tzinfo=UTC)
JOB, OTHER = UUID(int=1), UUID(int=2)
ENDED = (IntentState.ACCEPTED, IntentState.REFUSED, IntentState.CANCELLED)


def a_row(state: IntentState, claim: int = 1) -> IntentRow:
    return IntentRow(
        id=UUID(int=3),
        message_id=UUID(int=4),
        lead_id=UUID(int=5),
        run_id=UUID(int=6),
        state=state,
        told_state=IntentState.READY,
        claim=claim,
        job_id=JOB,
        code="",
    )


def some_news(fate: Fate, claim: int = 1, job_id: UUID = JOB, *, is_fenced: bool = True) -> News:
    return News(intent_id=UUID(int=3), claim=claim, job_id=job_id, fate=fate, is_fenced=is_fenced)


def a_standing(**over: object) -> Standing:
    given: dict[str, object] = {
        "id": UUID(int=3),
        "state": IntentState.READY,
        "claim": None,
        "job_id": None,
        "channel": Channel.EMAIL,
        "latest_useful_at": NOW + timedelta(hours=1),
        "message_state": MessageState.APPROVED,
        "lead_gone": False,
        "lead_merged": False,
        "lead_deleted": False,
        "run_cancelled": False,
        "never_sends": False,
        "suppressed": False,
        "opted_in": False,
        "held": False,
    }
    return Standing(**(given | over))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (None, Fate.ACCEPTED),
        (Unreached("connection refused"), Fate.NOTHING),
        (Transient("cut before the final dot"), Fate.NOTHING),
        (ProviderThrottled("429", 3.0), Fate.NOTHING),
        (Throttled("snooze", 3.0), Fate.NOTHING),
        (ProviderRefused("550"), Fate.REFUSED),
        (NotConfigured("set it"), Fate.REFUSED),
        (Cut("no answer"), Fate.UNSURE),
        (Oversized("100 MB"), Fate.UNSURE),
        (ProviderChanged("garbage"), Fate.UNSURE),
        (Unsure("timeout"), Fate.UNSURE),
        (ValueError("bug"), Fate.BROKEN),
        (TimeoutError(), Fate.BROKEN),
        (Cancelled("run"), Fate.FORBIDDEN),
        (Denied("held"), Fate.FORBIDDEN),
    ],
)
def test_only_what_certainly_did_nothing_counts_as_nothing(
    error: Exception | None, fate: Fate
) -> None:
    assert fate_of(error) is fate


@given(
    state=st.sampled_from(ENDED),
    fate=st.sampled_from(Fate),
    claim=st.integers(1, 3),
    is_fenced=st.booleans(),
)
def test_nothing_moves_a_sending_that_has_ended(
    state: IntentState, fate: Fate, claim: int, *, is_fenced: bool
) -> None:
    assert next_state(a_row(state), some_news(fate, claim, is_fenced=is_fenced)) is state


@given(fate=st.sampled_from(Fate), claim=st.integers(1, 4), job_id=st.sampled_from([JOB, OTHER]))
def test_only_nothing_ever_makes_an_open_call_ready_again_and_only_by_its_own_claim(
    fate: Fate, claim: int, job_id: UUID
) -> None:
    after = next_state(a_row(IntentState.SENDING, claim=2), some_news(fate, claim, job_id))

    if after is IntentState.READY:
        assert (fate, claim, job_id) == (Fate.NOTHING, 2, JOB)


@given(fate=st.sampled_from(Fate), claim=st.integers(1, 4), job_id=st.sampled_from([JOB, OTHER]))
def test_an_unknown_is_settled_by_its_own_call_only_and_never_made_ready(
    fate: Fate, claim: int, job_id: UUID
) -> None:
    after = next_state(a_row(IntentState.UNKNOWN, claim=2), some_news(fate, claim, job_id))

    assert after is not IntentState.READY
    if after is not IntentState.UNKNOWN:
        assert (claim, job_id) == (2, JOB)


@given(fate=st.sampled_from(Fate), claim=st.integers(3, 9))
def test_a_later_claim_of_the_same_job_makes_an_open_call_unknown(fate: Fate, claim: int) -> None:
    after = next_state(a_row(IntentState.SENDING, claim=2), some_news(fate, claim))

    assert after is IntentState.UNKNOWN


def test_a_mistake_of_ours_is_unknown_only_once_the_call_was_let_through() -> None:
    before, during = a_row(IntentState.READY), a_row(IntentState.SENDING)

    assert next_state(before, some_news(Fate.BROKEN)) is IntentState.REFUSED
    assert next_state(during, some_news(Fate.BROKEN)) is IntentState.UNKNOWN


def test_what_lost_its_fence_moves_a_ready_intent_only_if_it_was_accepted() -> None:
    row = a_row(IntentState.READY, claim=5)
    stale = [some_news(fate, 4, is_fenced=False) for fate in Fate]

    moved = {news.fate for news in stale if next_state(row, news) is not IntentState.READY}

    assert moved == {Fate.ACCEPTED}


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"lead_gone": True}, "lead.gone"),
        ({"lead_merged": True}, "lead.merged"),
        ({"lead_deleted": True}, "lead.deleted"),
        ({"run_cancelled": True}, "run.cancelled"),
        ({"never_sends": True}, "run.never_sends"),
        ({"message_state": MessageState.REJECTED}, "message.not_approved"),
        ({"suppressed": True}, "suppressed"),
        ({"channel": Channel.WHATSAPP}, "opt_in.missing"),
        ({"latest_useful_at": NOW - timedelta(seconds=1)}, "too_late"),
        ({"state": IntentState.SENDING, "claim": 2, "job_id": JOB}, "intent.sending"),
        ({"state": IntentState.UNKNOWN}, "intent.unknown"),
    ],
)
def test_each_reason_refuses_a_sending_even_while_it_is_held(
    over: dict[str, object], code: str
) -> None:
    for held in (False, True):
        verdict = judge(a_standing(**over | {"held": held}), 1, JOB, NOW, 10.0)

        assert isinstance(verdict, Deny)
        assert verdict.code == code


def test_a_free_sending_goes_and_a_held_one_waits() -> None:
    free, held = (judge(a_standing(held=held), 1, JOB, NOW, 10.0) for held in (False, True))

    assert isinstance(free, Allow)
    assert isinstance(held, Defer)
    assert held.retry_after_seconds == 10.0
