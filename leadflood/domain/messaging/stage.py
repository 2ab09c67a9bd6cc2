"""The steps `message.generate`, `message.send` and `message.suppress`."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.parts import StageParts
from leadflood.contracts.ports.sender import Receipt, Sender
from leadflood.contracts.ports.text import TextWriter
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.enrichment.schemas import PersonClaimed
from leadflood.domain.leads.schemas import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.messaging import store
from leadflood.domain.messaging.drafting import Drafted, Drafter, ToDraft
from leadflood.domain.messaging.keys import Keys, mask
from leadflood.domain.messaging.letter import compose
from leadflood.domain.messaging.schemas import (
    Intent,
    IntentState,
    Message,
    MessageApproved,
    MessageDrafted,
    MessageState,
    Settings,
    SuppressionKind,
)
from leadflood.domain.messaging.sending import (
    Fate,
    News,
    Standing,
    explain,
    fate_of,
    is_for_good,
    judge,
)
from leadflood.domain.scoring.schemas import LeadQualified
from leadflood.engine.clock import Clock
from leadflood.engine.context import Allow, Defer, Deny, JobContext, SendDecision
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Denied, Invalid, NotConfigured, NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome, Snooze
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage


class NoCall(msgspec.Struct, frozen=True):
    """A sending that needed no call: what is known of it."""

    fate: Fate
    code: str = ""
    detail: str = ""


class GenerateStage(Stage[LeadQualified, ToDraft, Drafted]):
    """Drafts a message for a lead that scored HIGH."""

    name = "message.generate"
    task: ClassVar[Any] = LeadQualified
    default_policy: ClassVar[Policy] = Policy(concurrency=64, timeout_seconds=120.0)

    def __init__(
        self,
        policy: Policy,
        settings: Settings,
        clock: Clock,
        ids: Ids,
        writer: TextWriter | None = None,
    ) -> None:
        super().__init__(policy)
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._keys = Keys(settings.hash_secret)
        self._drafter = Drafter(settings, writer)

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        settings = parts.settings_of(Settings)
        return cls(policy, settings, parts.clock, parts.ids, parts.ports.writer)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[LeadQualified]]
    ) -> Sequence[ToDraft | Outcome[Drafted]]:
        profiles = await leads.find_profiles(db, [task.task.lead_id for task in tasks])
        offers = await store.find_offers(db, (task.task.icp_id for task in tasks))
        found = await runs.find(db, sorted({task.run_id for task in tasks if task.run_id}))
        templates = await store.find_templates(
            db, self._settings.template_name, self._settings.language
        )
        opted_in = await self._find_opted_in(db, profiles.values())
        loaded: list[ToDraft | Outcome[Drafted]] = []
        for task in tasks:
            profile, offer = profiles.get(task.task.lead_id), offers.get(task.task.icp_id)
            run = None if task.run_id is None else found.get(task.run_id)
            if profile is None or profile.is_deleted or offer is None or run is None:
                loaded.append(Discard(_gone(task, profile, offer)))
                continue
            loaded.append(
                ToDraft(
                    message_id=self._ids.new(),
                    intent_id=self._ids.new(),
                    icp_id=task.task.icp_id,
                    run_id=run.id,
                    profile=profile,
                    offer=offer.text,
                    is_autopilot=offer.is_autopilot,
                    sends=run.sends,
                    may_whatsapp=profile.lead_id in opted_in,
                    templates=templates,
                    attempts=task.attempts,
                )
            )
        return loaded

    @override
    async def work(self, item: ToDraft) -> Outcome[Drafted]:
        return Done(await self._drafter.draft(item, self._clock.now()))

    @override
    async def commit(
        self, tx: Tx, ended: Sequence[FinishedTask[LeadQualified, Drafted]]
    ) -> Sequence[FollowUp]:
        now = self._clock.now()
        by_message = {
            drafted.message.id: (one, drafted)
            for one in ended
            if (drafted := self._drafted(one)) is not None
        }
        new = await store.record_messages(
            tx, [drafted.message for _, drafted in by_message.values()], now
        )
        made = [by_message[message_id] for message_id in by_message if message_id in new]
        intents = [
            store.NewIntent(
                id=drafted.intent_id, message=drafted.message, lead_ids=drafted.lead_ids
            )
            for _, drafted in made
            if drafted.message.state is MessageState.APPROVED
        ]
        await store.record_intents(tx, intents, self._keys, self._settings, now)
        return [one.follow_up(_event_of(drafted)) for one, drafted in made]

    def _drafted(self, one: FinishedTask[LeadQualified, Drafted]) -> Drafted | None:
        """Tell what to store; a lead whose drafting failed gets a message that says so."""
        if isinstance(one.outcome, Done):
            return one.outcome.result
        error = one.outcome.error
        if one.run_id is None or isinstance(error, Cancelled | NotFound):
            return None
        loaded: ToDraft | None = one.input
        lead_id = one.task.lead_id if loaded is None else loaded.profile.lead_id
        failed = Message(
            id=self._ids.new(),
            lead_id=lead_id,
            icp_id=one.task.icp_id,
            run_id=one.run_id,
            state=MessageState.NEEDS_DATA,
            reason=f"failed:{explain(error)[0]}",
        )
        return Drafted(message=failed, intent_id=self._ids.new(), lead_ids=(lead_id,))

    async def _find_opted_in(self, db: Reader, profiles: Iterable[LeadProfile]) -> frozenset[UUID]:
        """Tell which leads have agreed to WhatsApp; without a secret nobody can have."""
        if not self._settings.hash_secret:
            return frozenset()
        keys: dict[bytes, set[UUID]] = {}
        for profile in profiles:
            phone = profile.text(FieldName.PHONE)
            if key := _phone_key(self._keys, phone):
                keys.setdefault(key, set()).add(profile.lead_id)
        if not keys:
            return frozenset()
        agreed = await store.find_opted_in(db, Channel.WHATSAPP, keys)
        return frozenset(lead_id for key in agreed for lead_id in keys[key])


class SendStage(Stage[MessageApproved, Intent, Receipt | NoCall]):
    """Sends an approved message, once. `record` is the gate's: what happened is written at once."""

    name = "message.send"
    task: ClassVar[Any] = MessageApproved
    default_policy: ClassVar[Policy] = Policy(concurrency=64, timeout_seconds=120.0)
    effect = True

    def __init__(
        self,
        policy: Policy,
        settings: Settings,
        clock: Clock,
        senders: Mapping[Channel, Sender],
    ) -> None:
        super().__init__(policy)
        self._settings = settings
        self._clock = clock
        self._senders = senders
        self._keys = Keys(settings.hash_secret)

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        return cls(policy, parts.settings_of(Settings), parts.clock, parts.ports.senders)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[MessageApproved]]
    ) -> Sequence[Intent | Outcome[Receipt | NoCall]]:
        found = await store.find_intents(db, (task.task.intent_id for task in tasks))
        return [_open(task, found.get(task.task.intent_id)) for task in tasks]

    @override
    async def work(self, item: Intent) -> Outcome[Receipt | NoCall]:
        sender = self._senders.get(item.channel)
        if sender is None:
            raise NotConfigured(f"no provider sends {item.channel}: give one its key in providers")
        message = compose(item, self._settings, self._keys)
        try:
            receipt = await sender.send(message)
        except Denied as error:
            code, detail = explain(error)
            if not is_for_good(code):  # a provider switched off: its switch may come back
                return Snooze(self._settings.held_retry_seconds, detail)
            return Done(NoCall(Fate.FORBIDDEN, code, detail))
        return Done(receipt)

    @override
    async def authorize(self, tx: Tx, jobs: Sequence[JobContext]) -> Sequence[SendDecision]:
        """Say the last word on each sending, and move those that may go to `sending`.

        Waits: while `hold` writes its switch. The lock is taken in a statement of its own, so
        that everything read after it is what stands once `hold` has answered.
        """
        await store.share_sending_lock(tx)
        now = self._clock.now()
        standings = await store.judge_intents(tx, (job.input.id for job in jobs))
        started: dict[UUID, tuple[UUID, int, UUID, str]] = {}
        refused: list[tuple[UUID, str, str]] = []
        verdicts = []
        for job in jobs:
            verdict = self._judge(job, standings.get(job.input.id), started, now)
            verdicts.append(verdict)
            if isinstance(verdict, Allow):
                started[job.input.id] = self._start(job)
            elif isinstance(verdict, Deny):
                refused.append((job.input.id, verdict.code, verdict.reason))
        await store.start_sending(tx, list(started.values()), now)
        await store.cancel_intents(tx, refused, now)
        return verdicts

    @override
    async def record(
        self, tx: Tx, job: JobContext, error: BaseException | None, reply: Any
    ) -> None:
        """Write what the call did in the gate's own transaction; the job's commit tells it."""
        await self.record_many(tx, [(job, error, reply)])

    @override
    async def record_many(
        self, tx: Tx, ended: Sequence[tuple[JobContext, BaseException | None, Any]]
    ) -> None:
        """Write it for all calls of a shared transaction; an intent met twice is written twice."""
        left = [_called(job, error) for job, error, _ in ended]
        while left:
            first = {news.intent_id: news for news in reversed(left)}
            now = self._clock.now()
            await store.record_news(tx, list(first.values()), now, tells=False)
            left = [news for news in left if first[news.intent_id] is not news]

    @override
    async def commit(
        self, tx: Tx, ended: Sequence[FinishedTask[MessageApproved, Receipt | NoCall]]
    ) -> Sequence[FollowUp]:
        news = [self._news(one) for one in ended]
        outcomes = await store.record_news(tx, news, self._clock.now())
        told = [
            one.follow_up(outcomes.events[one.task.intent_id])
            for one in ended
            if one.task.intent_id in outcomes.events
        ]
        again = [
            one.follow_up(one.task) for one in ended if one.task.intent_id in outcomes.stranded
        ]
        return [*told, *again]

    def _judge(
        self, job: JobContext, standing: Standing | None, started: Container[UUID], now: datetime
    ) -> SendDecision:
        retry_seconds = self._settings.held_retry_seconds
        if standing is None:
            return Deny("intent.gone", "its intent is gone")
        if standing.id in started:
            return Defer("another job sends it in this very moment", retry_seconds)
        return judge(standing, job.claim, job.job_id, now, retry_seconds)

    def _start(self, job: JobContext) -> tuple[UUID, int, UUID, str]:
        sender = self._senders.get(job.input.channel)
        return job.input.id, job.claim, job.job_id, "" if sender is None else sender.name

    def _news(self, one: FinishedTask[MessageApproved, Receipt | NoCall]) -> News:
        news = News(
            intent_id=one.task.intent_id,
            claim=one.claimed.claim,
            job_id=one.claimed.job_id,
            fate=Fate.SEEN,
        )
        replace = msgspec.structs.replace
        outcome = one.outcome
        if isinstance(outcome, Discard):
            code, detail = explain(outcome.error)
            return replace(news, fate=_last_fate(outcome.error), code=code, detail=detail)
        result = outcome.result
        if isinstance(result, NoCall):
            return replace(news, fate=result.fate, code=result.code, detail=result.detail)
        return replace(news, fate=Fate.ACCEPTED, detail=result.detail, remote_id=result.remote_id)


def _called(job: JobContext, error: BaseException | None) -> News:
    """Say what one call did to its intent."""
    code, detail = explain(error)
    return News(
        intent_id=job.input.id,
        claim=job.claim,
        job_id=job.job_id,
        fate=fate_of(error),
        code=code,
        detail=detail,
        is_fenced=False,
    )


def _last_fate(error: Exception) -> Fate:
    """A job that ends for good on something harmless ends its sending too."""
    fate = fate_of(error)
    return Fate.REFUSED if fate is Fate.NOTHING else fate


def _open(
    task: ClaimedTask[MessageApproved], intent: Intent | None
) -> Intent | Outcome[Receipt | NoCall]:
    """Tell what to work on; what has ended, or is another claim's, ends here without a call."""
    if intent is None:
        return Discard(NotFound(f"intent {task.task.intent_id} is gone: nothing to send"))
    if intent.state is IntentState.READY:
        return intent
    if intent.state is IntentState.SENDING:
        return Done(NoCall(Fate.LOST, "effect.lost", "its call was cut: it may have arrived"))
    return Done(NoCall(Fate.SEEN))


def _event_of(drafted: Drafted) -> MessageDrafted | MessageApproved:
    message = drafted.message
    if message.state is MessageState.APPROVED:
        return MessageApproved(message.lead_id, message.id, drafted.intent_id)
    return MessageDrafted(message.lead_id, message.icp_id, message.id)


def _gone(
    task: ClaimedTask[LeadQualified], profile: LeadProfile | None, offer: store.Offer | None
) -> NotFound | Cancelled:
    if profile is None:
        return NotFound(f"lead {task.task.lead_id} is gone: no message is written")
    if profile.is_deleted:
        return Cancelled(
            f"lead {task.task.lead_id} was deleted: no message is written",
            code="leads.lead.deleted",
        )
    if offer is None:
        return NotFound(f"ICP version {task.task.icp_id} is gone: no message is written")
    return NotFound(f"run {task.run_id} is gone: no message is written")


def _phone_key(keys: Keys, phone: str) -> bytes | None:
    try:
        return keys.of_address(Channel.WHATSAPP, phone) if phone else None
    except Invalid:
        return None


class SuppressStage(Stage[PersonClaimed, LeadProfile, LeadProfile]):
    """Leaves people alone who asked a provider to be left alone: every channel, every address."""

    name: ClassVar[str] = "message.suppress"
    task: ClassVar[Any] = PersonClaimed
    default_policy: ClassVar[Policy] = Policy(concurrency=8)

    def __init__(self, policy: Policy, settings: Settings, clock: Clock, ids: Ids) -> None:
        super().__init__(policy)
        self._clock = clock
        self._ids = ids
        self._keys = Keys(settings.hash_secret)

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        return cls(policy, parts.settings_of(Settings), parts.clock, parts.ids)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[PersonClaimed]]
    ) -> Sequence[LeadProfile | Outcome[LeadProfile]]:
        """Read who they are; a lead that is gone needs nothing."""
        profiles = await leads.find_profiles(db, [claimed.task.lead_id for claimed in tasks])
        return [
            profiles.get(claimed.task.lead_id)
            or Discard(NotFound(f"lead {claimed.task.lead_id} is gone"))
            for claimed in tasks
        ]

    @override
    async def work(self, item: LeadProfile) -> Outcome[LeadProfile]:
        return Done(item)

    @override
    async def commit(
        self, tx: Tx, ended: Sequence[FinishedTask[PersonClaimed, LeadProfile]]
    ) -> Sequence[FollowUp]:
        """Add the lines of everybody at once, by the provider that told us."""
        now = self._clock.now()
        for provider in sorted({one.task.provider for one in ended}):
            lines = [
                line
                for one in ended
                if one.task.provider == provider and isinstance(one.outcome, Done)
                for line in self._lines(one.outcome.result)
            ]
            why = ("asked to be left alone", provider, "the person")
            await store.add_suppressions(tx, sorted(lines, key=lambda line: line.key), why, now)
        return ()

    def _lines(self, profile: LeadProfile) -> Sequence[store.NewSuppression]:
        lines = [
            (SuppressionKind.LEAD, self._keys.of_lead(lead_id), str(lead_id))
            for lead_id in profile.members
        ]
        if email := profile.text(FieldName.EMAIL):
            key = self._keys.of_address(Channel.EMAIL, email)
            lines.append((SuppressionKind.ADDRESS, key, mask(email)))
        return [
            store.NewSuppression(id=self._ids.new(), kind=kind, key=key, hint=hint)
            for kind, key, hint in lines
        ]
