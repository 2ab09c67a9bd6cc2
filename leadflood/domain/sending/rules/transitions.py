"""The states of an intent: pure decisions, so that every transition can be tested by itself.

    ready → sending → accepted | refused | unknown        cancelled: `authorize` said no for good

A claim speaks only for its own call. What it learned is written even when it lost the fence; a
claim that finds another one's call open makes the intent `unknown`, for nobody knows its end.
"""

from enum import StrEnum
from uuid import UUID

import msgspec

from leadflood.domain.sending.schemas import (
    IntentState,
    LockedIntent,
    MessageAccepted,
    MessageRefused,
    MessageUnknown,
)

_WITHOUT_EVENT = (IntentState.READY, IntentState.SENDING)
StateEvent = MessageAccepted | MessageRefused | MessageUnknown


class SendOutcome(StrEnum):
    """The knowledge of a claim about its call.

    `broken`: our own mistake, at any moment of it. `waiting`: nothing was called, and nothing is
    until a person has made a setting or raised a cap.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNSURE = "unsure"
    NOTHING = "nothing"
    BROKEN = "broken"
    FORBIDDEN = "forbidden"
    WAITING = "waiting"
    LOST = "lost"
    SEEN = "seen"


class SendReport(msgspec.Struct, frozen=True, kw_only=True):
    """A claim's report on an intent when its job ends or its call returns.

    `is_fenced`: the claim is known to be alive, as it is in a commit.
    `needed_micros`: what a call for which there is no money might cost.
    """

    intent_id: UUID
    claim: int
    job_id: UUID
    outcome: SendOutcome
    code: str = ""
    detail: str = ""
    provider: str = ""
    remote_id: str = ""
    is_fenced: bool = True
    needed_micros: int | None = None

    def is_of(self, intent: LockedIntent) -> bool:
        """Whether it comes from the claim that called."""
        return intent.claim == self.claim and intent.job_id == self.job_id


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    """An intent's new state and what is written beside it; empty texts keep what is there.

    `is_published` False: its event is left to the commit of the job.
    """

    intent: LockedIntent
    state: IntentState
    code: str = ""
    detail: str = ""
    provider: str = ""
    remote_id: str = ""
    claim: int | None = None
    job_id: UUID | None = None
    resolved_by: str = ""
    is_published: bool = True

    @property
    def event(self) -> StateEvent | None:
        """The event to publish; None where the state has no event, or it is published already."""
        intent = self.intent
        if not self.is_published or self.state is intent.published_state:
            return None
        match self.state:
            case IntentState.ACCEPTED:
                return MessageAccepted(intent.lead_id, intent.message_id, intent.id)
            case IntentState.REFUSED | IntentState.CANCELLED:
                return MessageRefused(intent.lead_id, intent.message_id, intent.id, self.code)
            case IntentState.UNKNOWN:
                return MessageUnknown(intent.lead_id, intent.message_id, intent.id)
            case _:
                return None


def plan_change(intent: LockedIntent, report: SendReport, *, publishes: bool) -> StateChange | None:
    """Return what to write after a report; None where nothing changes and no event is due."""
    state = next_state(intent, report)
    is_same = state is intent.state
    adds_id = state is IntentState.ACCEPTED and bool(report.remote_id) and report.is_of(intent)
    is_due = publishes and intent.published_state is not state and state not in _WITHOUT_EVENT
    if is_same and not adds_id and not is_due:
        return None
    return StateChange(
        intent=intent,
        state=state,
        code=intent.code if is_same else report.code,
        detail=report.detail,
        provider=report.provider,
        remote_id=report.remote_id,
        claim=report.claim,
        job_id=report.job_id,
        is_published=publishes,
    )


def close_lost(intent: LockedIntent) -> StateChange:
    """Return what to write of an intent whose claim is gone.

    What such a claim recorded but could not publish any more is published here.
    """
    if intent.state is IntentState.SENDING:
        return StateChange(
            intent=intent,
            state=IntentState.UNKNOWN,
            code="effect.lost",
            detail="its claim was lost",
        )
    return StateChange(intent=intent, state=intent.state, code=intent.code)


def next_state(intent: LockedIntent, report: SendReport) -> IntentState:
    """Return the state after a report; the same one means nothing changes."""
    match intent.state:
        case IntentState.READY:
            return _from_ready(intent, report)
        case IntentState.SENDING:
            return _from_sending(intent, report)
        case IntentState.UNKNOWN:
            return _from_unknown(intent, report)
        case _:
            return intent.state


_FROM_READY = {
    SendOutcome.REFUSED: IntentState.REFUSED,
    SendOutcome.BROKEN: IntentState.REFUSED,
    SendOutcome.FORBIDDEN: IntentState.CANCELLED,
    SendOutcome.UNSURE: IntentState.UNKNOWN,
}
_FROM_SENDING = {
    SendOutcome.ACCEPTED: IntentState.ACCEPTED,
    SendOutcome.REFUSED: IntentState.REFUSED,
    SendOutcome.NOTHING: IntentState.READY,
    SendOutcome.SEEN: IntentState.SENDING,
}
_FROM_UNKNOWN = {
    SendOutcome.ACCEPTED: IntentState.ACCEPTED,
    SendOutcome.REFUSED: IntentState.REFUSED,
}


def _from_ready(intent: LockedIntent, report: SendReport) -> IntentState:
    if report.outcome is SendOutcome.ACCEPTED:
        return IntentState.ACCEPTED
    if not (report.is_fenced or report.is_of(intent)):
        return intent.state
    return _FROM_READY.get(report.outcome, intent.state)


def _from_sending(intent: LockedIntent, report: SendReport) -> IntentState:
    if report.is_of(intent):
        return _FROM_SENDING.get(report.outcome, IntentState.UNKNOWN)
    is_older_claim = intent.job_id == report.job_id and (intent.claim or 0) < report.claim
    return IntentState.UNKNOWN if is_older_claim else intent.state


def _from_unknown(intent: LockedIntent, report: SendReport) -> IntentState:
    if not report.is_of(intent):
        return intent.state
    return _FROM_UNKNOWN.get(report.outcome, intent.state)
