"""The last word before a send: everything that may forbid it."""

from datetime import datetime
from uuid import UUID

from leadflood.contracts.values import Channel
from leadflood.domain.sending.schemas import HELD, EarlierMessage, IntentState, SendConditions
from leadflood.engine.context import Allow, Defer, Deny, SendDecision

ALREADY_WRITTEN = "already_written"
"""The code of a first message to somebody who got one."""

TOO_LATE = Deny("too_late", "its latest useful time is past")
RUN_CANCELLED = Deny("run.cancelled", "its run was cancelled")

REFUSALS = frozenset(
    {
        "address.changed",
        ALREADY_WRITTEN,
        "lead.deleted",
        "lead.gone",
        "lead.merged",
        "message.not_approved",
        "opt_in.missing",
        RUN_CANCELLED.code,
        "run.never_sends",
        "suppressed",
        TOO_LATE.code,
    }
)
"""Why a send is cancelled for good."""

UNDER_WAY = "another first message to this person is on its way: what becomes of it decides"


def check_sendable(
    conditions: SendConditions,
    claim: int,
    job_id: UUID,
    now: datetime,
    held_retry_seconds: float,
) -> SendDecision:
    """Return whether a claim may send.

    An intent already `sending` under this very claim may go: the reply to COMMIT was lost, and
    nothing was called yet (a call that ended would have been recorded).
    """
    is_ours = conditions.claim == claim and conditions.job_id == job_id
    if conditions.state is IntentState.SENDING and is_ours:
        return Allow()
    if conditions.state is not IntentState.READY:
        return Deny(f"intent.{conditions.state}", f"its sending is {conditions.state}: not called")
    refusal = _find_refusal(conditions, now)
    if refusal is not None:
        return refusal
    is_under_way = _find_earlier(conditions) is not None
    if conditions.held or is_under_way:
        return Defer(HELD if conditions.held else UNDER_WAY, held_retry_seconds)
    return Allow()


def is_final(code: str) -> bool:
    """Whether a denial is one of `check_sendable`; any other may be lifted again."""
    return code.startswith("intent.") or code in REFUSALS


def _find_earlier(conditions: SendConditions) -> EarlierMessage | None:
    """Return the first message of before that this one would repeat without being asked to."""
    return None if conditions.repeats else conditions.past.earlier


def _find_refusal(conditions: SendConditions, now: datetime) -> Deny | None:
    earlier = _find_earlier(conditions)
    checks = (
        (conditions.lead_gone, "lead.gone", "its lead is gone"),
        (conditions.lead_deleted, "lead.deleted", "its lead was deleted"),
        (conditions.lead_merged, "lead.merged", "its lead was merged into another one"),
        (conditions.run_cancelled, RUN_CANCELLED.code, RUN_CANCELLED.reason),
        (conditions.never_sends, "run.never_sends", "its run never sends"),
        (not conditions.is_approved, "message.not_approved", "its message is not approved"),
        (conditions.suppressed, "suppressed", "the person or the address is suppressed"),
        (
            earlier is not None and earlier.state is not IntentState.SENDING,
            ALREADY_WRITTEN,
            "" if earlier is None else _explain_earlier(earlier),
        ),
        (
            not conditions.address_stands,
            "address.changed",
            "its lead is no longer written to at this address: change the draft's (`readdress`)",
        ),
        (
            conditions.channel is Channel.WHATSAPP and not conditions.opted_in,
            "opt_in.missing",
            "no opt-in is recorded for this number",
        ),
        (conditions.latest_useful_at < now, TOO_LATE.code, TOO_LATE.reason),
    )
    return next((Deny(code, reason) for applies, code, reason in checks if applies), None)


def _explain_earlier(earlier: EarlierMessage) -> str:
    return (
        f"this person got a first message on {earlier.sent_at:%Y-%m-%d}: {earlier.message_id};"
        " ask for another one by name (`again`)"
    )
