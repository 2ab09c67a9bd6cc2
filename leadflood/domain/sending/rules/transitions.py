"""What becomes of an intent: pure decisions, so that every transition can be tested by itself.

    ready → sending → accepted | refused | unknown        cancelled: `authorize` said no for good

A claim speaks only for its own call. What it learned is written even when it lost the fence; a
claim that finds another one's call open makes the intent `unknown`, for nobody knows its end.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from leadflood.contracts.errors import ProviderChanged
from leadflood.contracts.values import Channel
from leadflood.domain.messaging.schemas import IntentState, MessageState
from leadflood.engine.context import Allow, Defer, Deny, SendDecision
from leadflood.engine.errors import Denied, Permanent, Throttled, Transient, Unsure, code_of
from leadflood.engine.net.calls import Cut
from leadflood.engine.queue.outcome import Cancelled
from leadflood.engine.text import make_storable

SENDING_LOCK_KEY = 0x1EAD_5E9D
"""The advisory lock between `hold` (exclusive) and every `authorize` (shared)."""

REFUSALS = frozenset(
    {
        "lead.deleted",
        "lead.gone",
        "lead.merged",
        "message.not_approved",
        "opt_in.missing",
        "run.cancelled",
        "run.never_sends",
        "suppressed",
        "too_late",
    }
)
"""Why a sending is cancelled for good."""

_LONGEST_DETAIL = 500
_NO_DETAIL = ("", "")


class Fate(StrEnum):
    """What a claim knows of its call. `broken`: our own mistake, at any moment of it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNSURE = "unsure"
    NOTHING = "nothing"
    BROKEN = "broken"
    FORBIDDEN = "forbidden"
    LOST = "lost"
    SEEN = "seen"


_FATES: tuple[tuple[tuple[type[BaseException], ...], Fate], ...] = (
    ((Cancelled, Denied), Fate.FORBIDDEN),
    ((Unsure, Cut, ProviderChanged), Fate.UNSURE),
    ((Transient, Throttled), Fate.NOTHING),
    ((Permanent,), Fate.REFUSED),
)


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim has to say of an intent when its job ends or its call returns.

    `is_fenced`: the claim is known to be alive, as it is in a commit.
    """

    intent_id: UUID
    claim: int
    job_id: UUID
    fate: Fate
    code: str = ""
    detail: str = ""
    provider: str = ""
    remote_id: str = ""
    is_fenced: bool = True


class IntentRow(msgspec.Struct, frozen=True, kw_only=True):
    """An intent as it is locked."""

    id: UUID
    message_id: UUID
    lead_id: UUID
    run_id: UUID
    state: IntentState
    told_state: IntentState
    claim: int | None
    job_id: UUID | None
    code: str

    def is_of(self, news: News) -> bool:
        """Tell whether the news come from the claim that called."""
        return self.claim == news.claim and self.job_id == news.job_id


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that may forbid a sending, read directly before the call."""

    id: UUID
    state: IntentState
    claim: int | None
    job_id: UUID | None
    channel: Channel
    latest_useful_at: datetime
    message_state: MessageState
    lead_gone: bool
    lead_merged: bool
    lead_deleted: bool
    run_cancelled: bool
    never_sends: bool
    suppressed: bool
    opted_in: bool
    held: bool


def judge(
    standing: Standing, claim: int, job_id: UUID, now: datetime, held_retry_seconds: float
) -> SendDecision:
    """Say the last word on one sending.

    An intent already `sending` under this very claim may go: the reply to COMMIT was lost, and
    nothing was called yet (a call that ended would have been recorded).
    """
    is_ours = standing.claim == claim and standing.job_id == job_id
    if standing.state is IntentState.SENDING and is_ours:
        return Allow()
    if standing.state is not IntentState.READY:
        return Deny(f"intent.{standing.state}", f"its sending is {standing.state}: not called")
    refusal = _refusal(standing, now)
    if refusal is not None:
        return refusal
    if standing.held:
        return Defer("sending is held: `leadflood sending release` lets it go", held_retry_seconds)
    return Allow()


def is_for_good(code: str) -> bool:
    """Tell whether a refusal is one of `judge`; any other door may open again."""
    return code.startswith("intent.") or code in REFUSALS


def next_state(row: IntentRow, news: News) -> IntentState:
    """Tell the state after the news; the same one means nothing changes."""
    match row.state:
        case IntentState.READY:
            return _from_ready(row, news)
        case IntentState.SENDING:
            return _from_sending(row, news)
        case IntentState.UNKNOWN:
            return _from_unknown(row, news)
        case _:
            return row.state


def fate_of(error: BaseException | None) -> Fate:
    """Tell what an error of a call means for the person written to.

    Only what certainly did nothing counts as nothing.
    """
    if error is None:
        return Fate.ACCEPTED
    return next((fate for kinds, fate in _FATES if isinstance(error, kinds)), Fate.BROKEN)


def explain(error: BaseException | None) -> tuple[str, str]:
    """Tell an error's code and text, short enough to keep."""
    if error is None:
        return _NO_DETAIL
    return code_of(error), make_storable(str(error))[:_LONGEST_DETAIL]


def _refusal(standing: Standing, now: datetime) -> Deny | None:
    checks = (
        (standing.lead_gone, "lead.gone", "its lead is gone"),
        (standing.lead_deleted, "lead.deleted", "its lead was deleted"),
        (standing.lead_merged, "lead.merged", "its lead was merged into another one"),
        (standing.run_cancelled, "run.cancelled", "its run was cancelled"),
        (standing.never_sends, "run.never_sends", "its run never sends"),
        (
            standing.message_state is not MessageState.APPROVED,
            "message.not_approved",
            "its message is not approved",
        ),
        (standing.suppressed, "suppressed", "the address is on the suppression list"),
        (
            standing.channel is Channel.WHATSAPP and not standing.opted_in,
            "opt_in.missing",
            "no opt-in is recorded for this number",
        ),
        (standing.latest_useful_at < now, "too_late", "its latest useful time is past"),
    )
    return next((Deny(code, reason) for said, code, reason in checks if said), None)


_FROM_READY = {
    Fate.REFUSED: IntentState.REFUSED,
    Fate.BROKEN: IntentState.REFUSED,
    Fate.FORBIDDEN: IntentState.CANCELLED,
    Fate.UNSURE: IntentState.UNKNOWN,
}
_FROM_SENDING = {
    Fate.ACCEPTED: IntentState.ACCEPTED,
    Fate.REFUSED: IntentState.REFUSED,
    Fate.NOTHING: IntentState.READY,
    Fate.SEEN: IntentState.SENDING,
}
_FROM_UNKNOWN = {Fate.ACCEPTED: IntentState.ACCEPTED, Fate.REFUSED: IntentState.REFUSED}


def _from_ready(row: IntentRow, news: News) -> IntentState:
    if news.fate is Fate.ACCEPTED:
        return IntentState.ACCEPTED
    if not (news.is_fenced or row.is_of(news)):
        return row.state
    return _FROM_READY.get(news.fate, row.state)


def _from_sending(row: IntentRow, news: News) -> IntentState:
    if row.is_of(news):
        return _FROM_SENDING.get(news.fate, IntentState.UNKNOWN)
    is_older_claim = row.job_id == news.job_id and (row.claim or 0) < news.claim
    return IntentState.UNKNOWN if is_older_claim else row.state


def _from_unknown(row: IntentRow, news: News) -> IntentState:
    return _FROM_UNKNOWN.get(news.fate, row.state) if row.is_of(news) else row.state
