"""Settlement: what the end of a call means for its ledger line, and what its caller gets. Pure.

A line is released where the other side certainly charged nothing, settled at what it charged, and
unresolved where it may have charged, or does not say what.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from leadflood.engine.context import JobContext
from leadflood.engine.errors import (
    LeadfloodError,
    Permanent,
    Throttled,
    Transient,
    Unsure,
    code_of,
)
from leadflood.engine.net.calls import BulkReply, Call, Cut, Prepare, Reply, Unreached
from leadflood.engine.net.ledger_port import LedgerReceipt, LineState, Purchase, StoredAnswer
from leadflood.engine.net.shares import split_evenly

ReplyT = TypeVar("ReplyT", bound=Reply | BulkReply)
PROVIDER_CHANGED = "provider.changed"
NOT_SENT = "net.not_sent"
"""Of a line that was bought and given back: no call was made, and none failed."""


class OutgoingCall(Generic[ReplyT]):
    """One call on its way out.

    `purchase` is the ledger line it is paid from.
    `send` asks the other side under that line's reference.
    `split` lists the answers within the reply: the hash of its question, its other name, itself.
    `job` is the job whose stage authorizes and records the call; None: it is no effect.
    `prepare` gets as far as can be got before it is paid.
    `is_sent`: whether `send` was begun; `reply`: what came back.
    """

    __slots__ = ("call", "is_sent", "job", "prepare", "purchase", "reply", "send", "split")

    def __init__(
        self,
        call: Call,
        purchase: Purchase,
        send: Callable[[UUID], Awaitable[ReplyT]],
        split: Callable[[ReplyT], Sequence[tuple[bytes, bytes, Reply]]],
        job: JobContext | None,
        prepare: Prepare = nullcontext,
    ) -> None:
        self.call = call
        self.purchase = purchase
        self.send = send
        self.split = split
        self.job = job
        self.prepare = prepare
        self.is_sent = False
        self.reply: ReplyT | None = None


def make_receipt(
    outgoing: OutgoingCall[ReplyT], state: LineState, error: BaseException | None, now: datetime
) -> LedgerReceipt:
    """Write down how a call ended. A refusal that costs is settled at its cost."""
    billed = getattr(error, "cost_micros", 0)
    if billed and state is LineState.RELEASED:
        state = LineState.SETTLED
    answers = [] if outgoing.reply is None else outgoing.split(outgoing.reply)
    if state is LineState.SETTLED and not all(reply.is_priced for *_, reply in answers):
        state = LineState.UNRESOLVED
    costs = [reply.cost_micros for *_, reply in answers]
    settled = billed if outgoing.reply is None else sum(costs)
    is_by_item = isinstance(outgoing.reply, BulkReply)
    subjects = outgoing.purchase.subjects
    return LedgerReceipt(
        purchase=outgoing.purchase,
        state=state,
        outcome=_outcome(state, error, [reply for *_, reply in answers]),
        ended_at=now,
        settled_micros=settled,
        shares=tuple(costs) if is_by_item else split_evenly(settled, len(subjects)),
        answers=tuple(_stored_answers(outgoing.call, answers, now)),
    )


def classify_failure(call: Call, error: BaseException) -> tuple[LineState, BaseException]:
    """Return what a failed send makes of its line, and what is raised.

    Of an effect, whatever may have arrived is raised as Unsure.
    """
    if not isinstance(error, Exception):
        return LineState.UNRESOLVED, error
    may_have_arrived = _may_have_arrived(error)
    state = LineState.UNRESOLVED if may_have_arrived else LineState.RELEASED
    if not (call.effect and may_have_arrived) or isinstance(error, Unsure):
        return state, error
    return state, Unsure(f"{call.provider} {call.operation} may have happened: {error}")


def error_to_record(
    outgoing: OutgoingCall[ReplyT], error: BaseException | None
) -> BaseException | None:
    """Return the error for the stage's `record`: a cancellation in the words of the error tree."""
    if error is None or isinstance(error, Exception):
        return error
    if outgoing.is_sent:
        return Unsure("The call was given up while it was out.")
    return Transient("The call was given up before it was sent.", code=NOT_SENT)


def _may_have_arrived(error: BaseException) -> bool:
    """Whether the other side may have acted or charged, from the error and its causes."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Unreached):
            return False
        is_doubtful = isinstance(cause, LeadfloodError) and cause.may_have_acted
        if is_doubtful or isinstance(cause, Cut | Unsure | TimeoutError):
            return True
        cause = cause.__cause__
    return not isinstance(error, Permanent | Throttled | Transient)


def _stored_answers(
    call: Call, answers: Sequence[tuple[bytes, bytes, Reply]], now: datetime
) -> Iterable[StoredAnswer]:
    """Yield the answers to keep; an effect's never is."""
    if call.effect:
        return
    for question_hash, name, reply in answers:
        seconds = call.answer_seconds if reply.found else call.miss_seconds
        if seconds > 0:
            yield StoredAnswer(
                question_hash=question_hash,
                body=reply.body,
                found=reply.found,
                cost_micros=reply.cost_micros,
                expires_at=now + timedelta(seconds=seconds),
                names=_further_names(question_hash, (name, *reply.names)) if reply.found else (),
            )


def hash_question(question: bytes) -> bytes:
    """Return the key under which an answer is kept."""
    return hashlib.blake2b(question, digest_size=20).digest()


def _further_names(question_hash: bytes, names: Iterable[bytes]) -> tuple[bytes, ...]:
    hashes = {hash_question(name) for name in names if name}
    return tuple(sorted(hashes - {question_hash}))


def _outcome(state: LineState, error: BaseException | None, replies: Sequence[Reply]) -> str:
    if isinstance(error, Exception):
        return code_of(error)
    if error is not None:
        return "cancelled"
    if state is LineState.UNRESOLVED:
        return "net.unpriced"
    if state is LineState.SETTLED and not any(reply.found for reply in replies):
        return "miss"
    return "found"
