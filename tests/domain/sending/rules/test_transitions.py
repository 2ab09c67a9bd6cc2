from uuid import UUID

from hypothesis import given, strategies as st
from leadflood.domain.sending.rules.transitions import SendOutcome, SendReport, next_state
from leadflood.domain.sending.schemas import IntentState, LockedIntent

JOB, OTHER = UUID(int=1), UUID(int=2)
ENDED = (IntentState.ACCEPTED, IntentState.REFUSED, IntentState.CANCELLED)


def an_intent(state: IntentState, claim: int = 1) -> LockedIntent:
    return LockedIntent(
        id=UUID(int=3),
        message_id=UUID(int=4),
        lead_id=UUID(int=5),
        run_id=UUID(int=6),
        state=state,
        published_state=IntentState.READY,
        claim=claim,
        job_id=JOB,
        code="",
    )


def a_report(
    outcome: SendOutcome, claim: int = 1, job_id: UUID = JOB, *, is_fenced: bool = True
) -> SendReport:
    return SendReport(
        intent_id=UUID(int=3), claim=claim, job_id=job_id, outcome=outcome, is_fenced=is_fenced
    )


@given(
    state=st.sampled_from(ENDED),
    outcome=st.sampled_from(SendOutcome),
    claim=st.integers(1, 3),
    is_fenced=st.booleans(),
)
def test_nothing_moves_a_sending_that_has_ended(
    state: IntentState, outcome: SendOutcome, claim: int, *, is_fenced: bool
) -> None:
    assert next_state(an_intent(state), a_report(outcome, claim, is_fenced=is_fenced)) is state


@given(
    outcome=st.sampled_from(SendOutcome),
    claim=st.integers(1, 4),
    job_id=st.sampled_from([JOB, OTHER]),
)
def test_only_nothing_ever_makes_an_open_call_ready_again_and_only_by_its_own_claim(
    outcome: SendOutcome, claim: int, job_id: UUID
) -> None:
    after = next_state(an_intent(IntentState.SENDING, claim=2), a_report(outcome, claim, job_id))

    if after is IntentState.READY:
        assert (outcome, claim, job_id) == (SendOutcome.NOTHING, 2, JOB)


@given(
    outcome=st.sampled_from(SendOutcome),
    claim=st.integers(1, 4),
    job_id=st.sampled_from([JOB, OTHER]),
)
def test_an_unknown_is_settled_by_its_own_call_only_and_never_made_ready(
    outcome: SendOutcome, claim: int, job_id: UUID
) -> None:
    after = next_state(an_intent(IntentState.UNKNOWN, claim=2), a_report(outcome, claim, job_id))

    assert after is not IntentState.READY
    if after is not IntentState.UNKNOWN:
        assert (claim, job_id) == (2, JOB)


@given(outcome=st.sampled_from(SendOutcome), claim=st.integers(3, 9))
def test_a_later_claim_of_the_same_job_makes_an_open_call_unknown(
    outcome: SendOutcome, claim: int
) -> None:
    after = next_state(an_intent(IntentState.SENDING, claim=2), a_report(outcome, claim))

    assert after is IntentState.UNKNOWN


def test_a_mistake_of_ours_is_unknown_only_once_the_call_was_let_through() -> None:
    before, during = an_intent(IntentState.READY), an_intent(IntentState.SENDING)

    assert next_state(before, a_report(SendOutcome.BROKEN)) is IntentState.REFUSED
    assert next_state(during, a_report(SendOutcome.BROKEN)) is IntentState.UNKNOWN


def test_what_lost_its_fence_still_says_what_came_of_its_own_call() -> None:
    intent = an_intent(IntentState.READY, claim=5)

    after = next_state(intent, a_report(SendOutcome.REFUSED, 5, is_fenced=False))

    assert after is IntentState.REFUSED


def test_what_lost_its_fence_moves_a_ready_intent_only_if_it_was_accepted() -> None:
    intent = an_intent(IntentState.READY, claim=5)
    stale = [a_report(outcome, 4, is_fenced=False) for outcome in SendOutcome]

    moved = {
        report.outcome for report in stale if next_state(intent, report) is not IntentState.READY
    }

    assert moved == {SendOutcome.ACCEPTED}
