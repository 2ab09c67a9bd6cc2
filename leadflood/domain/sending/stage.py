"""The step `message.send`."""

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.errors import ProviderKeyRefused
from leadflood.contracts.parts import StageParts
from leadflood.contracts.ports.sender import Receipt, Sender
from leadflood.contracts.values import Channel
from leadflood.domain.sending import repository
from leadflood.domain.sending.repository import CancelledSend, StartedSend
from leadflood.domain.sending.rules.compose import (
    compose,
    explain_money,
    explain_setup,
    missing_settings,
    settle_reference,
)
from leadflood.domain.sending.rules.conditions import (
    ALREADY_WRITTEN,
    TOO_LATE,
    UNDER_WAY,
    check_sendable,
    is_final,
)
from leadflood.domain.sending.rules.transitions import SendOutcome, SendReport
from leadflood.domain.sending.schemas import (
    HELD,
    NO_SENDER_MISSING,
    WAITS_FOR_MONEY,
    WAITS_FOR_SETUP,
    Intent,
    IntentState,
    MessageApproved,
    SendConditions,
    Settings,
)
from leadflood.domain.sending.service.call_outcomes import (
    explain,
    final_outcome_of,
    outcome_of,
)
from leadflood.domain.sending.service.contact_history import ContactHistory
from leadflood.domain.sending.service.send_conditions import SendConditionReader
from leadflood.domain.sending.service.send_reports import record_reports
from leadflood.domain.sending.service.unknown_sends import SEND_STAGE
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.domain.suppressions.service.recipients import Recipients
from leadflood.engine.clock import Clock
from leadflood.engine.context import Allow, Defer, Deny, JobContext, SendDecision
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import CapSpent, Denied, NotConfigured, NotFound, Transient
from leadflood.engine.queue.outcome import Discard, Done, Outcome, Snooze
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage

KEY_RETRY_SECONDS = 60.0
"""How long a send waits whose key or login the other side refuses."""


class NoCall(msgspec.Struct, frozen=True):
    """A send that needed no call: what is known of it.

    `needed_micros`: what the call might have cost for which there is no money.
    """

    outcome: SendOutcome
    code: str = ""
    detail: str = ""
    needed_micros: int | None = None


class SendStage(Stage[MessageApproved, Intent, Receipt | NoCall]):
    """Sends an approved message, once.

    `record` is called by the gateway: what happened is written at once.
    """

    name = SEND_STAGE
    task: ClassVar[Any] = MessageApproved
    default_policy: ClassVar[Policy] = Policy(concurrency=64, timeout_seconds=120.0)
    effect = True

    def __init__(
        self,
        policy: Policy,
        settings: Settings,
        key: AddressKey,
        clock: Clock,
        senders: Mapping[Channel, Sender],
        missing_senders: Mapping[Channel, str] = NO_SENDER_MISSING,
    ) -> None:
        super().__init__(policy)
        self._settings = settings
        self._clock = clock
        self._senders = senders
        self._missing_senders = missing_senders
        self._recipients = Recipients(key)
        self._conditions = SendConditionReader(key, ContactHistory(settings.again_after_days))

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        settings, key = parts.settings_of(Settings), parts.settings_of(AddressKey)
        ports = parts.ports
        return cls(policy, settings, key, parts.clock, ports.senders, ports.missing_senders)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[MessageApproved]]
    ) -> Sequence[Intent | Outcome[Receipt | NoCall]]:
        intents = await repository.find_intents(db, (task.task.intent_id for task in tasks))
        inputs = [self._open(task, intents.get(task.task.intent_id)) for task in tasks]
        if not await repository.is_held(db):
            return inputs
        # `authorize` has the last word; this keeps a mail server from being asked for nothing
        wait = Snooze(self._settings.held_retry_seconds, HELD)
        return [wait if isinstance(item, Intent) else item for item in inputs]

    def _open(
        self, task: ClaimedTask[MessageApproved], intent: Intent | None
    ) -> Intent | Outcome[Receipt | NoCall]:
        """Return what to work on, or why it waits or ends here without a call."""
        opened = _open(task, intent)
        if not isinstance(opened, Intent):
            return opened
        missing = missing_settings(opened.channel, self._settings, self._missing_senders)
        if missing:
            return self._park(opened, WAITS_FOR_SETUP, explain_setup(missing))
        return msgspec.structs.replace(
            opened,
            reference=settle_reference(opened, self._settings.sender_address),
            is_last_try=task.attempts + 1 >= self.policy.attempts,
        )

    def _postpone(self, item: Intent, seconds: float, reason: str) -> Outcome[Receipt | NoCall]:
        """Let what never left the house wait, as long as it is worth sending."""
        if item.latest_useful_at < self._clock.now():
            return Done(NoCall(SendOutcome.FORBIDDEN, TOO_LATE.code, TOO_LATE.reason))
        return Snooze(seconds, reason)

    def _park_after(
        self, item: Intent, error: NotConfigured | CapSpent
    ) -> Outcome[Receipt | NoCall]:
        if isinstance(error, NotConfigured):
            return self._park(item, WAITS_FOR_SETUP, error.detail)
        detail = explain_money(item.run_id, error.scope)
        return self._park(item, WAITS_FOR_MONEY, detail, error.needed_micros)

    def _park(
        self, item: Intent, code: str, detail: str, needed_micros: int | None = None
    ) -> Outcome[Receipt | NoCall]:
        """End the job of what a person has to do something for: `WaitingSends` brings it back."""
        if item.latest_useful_at < self._clock.now():
            return Done(NoCall(SendOutcome.FORBIDDEN, TOO_LATE.code, TOO_LATE.reason))
        return Done(NoCall(SendOutcome.WAITING, code, detail, needed_micros))

    @override
    async def work(self, item: Intent) -> Outcome[Receipt | NoCall]:
        """Hand one message over. What never left the house waits, however often it failed."""
        try:
            return Done(await self._hand_over(item))
        except Denied as error:
            code, detail = explain(error)
            if not is_final(code):  # a provider switched off: its switch may come back
                return Snooze(self._settings.held_retry_seconds, detail)
            return Done(NoCall(SendOutcome.FORBIDDEN, code, detail))
        except (NotConfigured, CapSpent) as error:
            return self._park_after(item, error)
        except (ProviderKeyRefused, Transient) as error:
            wait_seconds = KEY_RETRY_SECONDS
            if isinstance(error, Transient):
                if not item.is_last_try:
                    raise
                asked_seconds = error.retry_after_seconds or 0.0
                wait_seconds = max(asked_seconds, self.policy.backoff_cap_seconds)
            return self._postpone(item, wait_seconds, error.detail)

    async def _hand_over(self, item: Intent) -> Receipt:
        sender = self._senders.get(item.channel)
        if sender is None:
            raise NotConfigured(f"no provider sends {item.channel}: set one in providers")
        message = compose(item, self._settings, self._recipients.unsubscribe_token)
        return await sender.send(message)

    @override
    async def authorize(self, tx: Tx, jobs: Sequence[JobContext]) -> Sequence[SendDecision]:
        """Return the last word on each send, and move those that may go to `sending`.

        Waits: while `hold` writes its switch. The lock is taken in a statement of its own, so
        that everything read after it is what stands once `hold` has answered.
        """
        await repository.share_sending_lock(tx)
        now = self._clock.now()
        intent_ids = [job.input.id for job in jobs]
        conditions = await self._conditions.find(tx, intent_ids, now, takes_keys=True)
        started: dict[UUID, StartedSend] = {}
        contacted: set[bytes] = set()
        cancelled: list[CancelledSend] = []
        decisions = []
        for job, intent_id in zip(jobs, intent_ids, strict=True):
            standing = conditions.get(intent_id)
            decision = self._decide(job, standing, started, contacted, now)
            decisions.append(decision)
            if standing is not None and isinstance(decision, Allow):
                started[intent_id] = self._start(job, standing)
                contacted.update(standing.contact_keys)
            elif isinstance(decision, Deny):
                cancelled.append(_cancel(intent_id, decision, standing))
        await repository.start_sending(tx, list(started.values()), now)
        await repository.cancel_intents(tx, cancelled, now)
        return decisions

    @override
    async def record(
        self, tx: Tx, job: JobContext, error: BaseException | None, reply: Any
    ) -> None:
        """Record the call in the gateway's own transaction; the job's commit publishes it."""
        await self.record_many(tx, [(job, error, reply)])

    @override
    async def record_many(
        self, tx: Tx, tasks: Sequence[tuple[JobContext, BaseException | None, Any]]
    ) -> None:
        """Write it for all calls of a shared transaction; an intent met twice is written twice."""
        reports = [_report_call(job, error) for job, error, _ in tasks]
        while reports:
            first = {report.intent_id: report for report in reversed(reports)}
            await record_reports(tx, list(first.values()), self._clock.now(), publishes=False)
            reports = [report for report in reports if first[report.intent_id] is not report]

    @override
    async def commit(
        self, tx: Tx, tasks: Sequence[FinishedTask[MessageApproved, Receipt | NoCall]]
    ) -> Sequence[FollowUp]:
        reports = [_report_end(finished) for finished in tasks]
        events = await record_reports(tx, reports, self._clock.now())
        return [
            finished.follow_up(events[finished.task.intent_id])
            for finished in tasks
            if finished.task.intent_id in events
        ]

    def _decide(
        self,
        job: JobContext,
        conditions: SendConditions | None,
        started: Container[UUID],
        contacted: Container[bytes],
        now: datetime,
    ) -> SendDecision:
        retry_seconds = self._settings.held_retry_seconds
        if conditions is None:
            return Deny("intent.gone", "its intent is gone")
        if conditions.id in started:
            return Defer("another job sends it in this very moment", retry_seconds)
        if any(key in contacted for key in conditions.contact_keys):
            return Defer(UNDER_WAY, retry_seconds)
        return check_sendable(conditions, job.claim, job.job_id, now, retry_seconds)

    def _start(self, job: JobContext, conditions: SendConditions) -> StartedSend:
        sender = self._senders.get(job.input.channel)
        return StartedSend(
            intent_id=job.input.id,
            claim=job.claim,
            job_id=job.job_id,
            provider="" if sender is None else sender.name,
            reference=job.input.reference,
            touch=conditions.past.touch_count + 1,
        )


def _cancel(intent_id: UUID, denial: Deny, conditions: SendConditions | None) -> CancelledSend:
    """Return what is written of a send that is refused for good."""
    earlier = None if conditions is None else conditions.past.earlier
    is_repeat = denial.code == ALREADY_WRITTEN and earlier is not None
    return CancelledSend(
        intent_id=intent_id,
        code=denial.code,
        reason=denial.reason,
        earlier_message_id=earlier.message_id if earlier and is_repeat else None,
    )


def _open(
    task: ClaimedTask[MessageApproved], intent: Intent | None
) -> Intent | Outcome[Receipt | NoCall]:
    """Return what to work on; what has ended, or is another claim's, ends here without a call."""
    if intent is None:
        return Discard(NotFound(f"intent {task.task.intent_id} is gone: nothing to send"))
    if intent.state is IntentState.READY:
        return intent
    if intent.state is IntentState.SENDING:
        return Done(
            NoCall(SendOutcome.LOST, "effect.lost", "its call was cut: it may have arrived")
        )
    return Done(NoCall(SendOutcome.SEEN))


def _report_call(job: JobContext, error: BaseException | None) -> SendReport:
    """Return what one call did to its intent."""
    code, detail = explain(error)
    return SendReport(
        intent_id=job.input.id,
        claim=job.claim,
        job_id=job.job_id,
        outcome=outcome_of(error),
        code=code,
        detail=detail,
        is_fenced=False,
    )


def _report_end(finished: FinishedTask[MessageApproved, Receipt | NoCall]) -> SendReport:
    """Return what the job that ends has learned of its intent."""
    report = SendReport(
        intent_id=finished.task.intent_id,
        claim=finished.claimed.claim,
        job_id=finished.claimed.job_id,
        outcome=SendOutcome.ACCEPTED,
    )
    replace = msgspec.structs.replace
    if isinstance(finished.outcome, Discard):
        error = finished.outcome.error
        code, detail = explain(error)
        return replace(report, outcome=final_outcome_of(error), code=code, detail=detail)
    result = finished.outcome.result
    if isinstance(result, NoCall):
        return replace(report, **msgspec.structs.asdict(result))
    return replace(report, detail=result.detail, remote_id=result.remote_id)
