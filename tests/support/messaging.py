"""A small world for messages: a run, an ICP, leads, stages and a sender that counts."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.parts import Ports
from leadflood.contracts.ports.sender import Arrival, OutgoingMessage, Receipt
from leadflood.contracts.ports.text import TextWriter
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.drafting.schemas import Settings, TemplateInput, TemplateView
from leadflood.domain.drafting.service.templates import TemplateService
from leadflood.domain.leads.schemas.identity import NewPerson
from leadflood.domain.leads.schemas.inputs import OptInEvidence
from leadflood.domain.leads.service.upserting import upsert
from leadflood.domain.messages.schemas import Decider, MessageView
from leadflood.domain.messages.service.approval import MessageApproval
from leadflood.domain.messages.service.messages import MessageService
from leadflood.domain.messages.stage import GenerateStage
from leadflood.domain.scoring.schemas import LeadQualified
from leadflood.domain.sending.schemas import (
    NO_SENDER_MISSING,
    IntentState,
    MessageApproved,
    ResolvedSend,
    SendingStatus,
)
from leadflood.domain.sending.service.outbox import Outbox
from leadflood.domain.sending.service.rekeying import SendRekeying
from leadflood.domain.sending.service.suppressed_sends import SuppressedSends
from leadflood.domain.sending.service.switch import SendingSwitch
from leadflood.domain.sending.service.unknown_sends import UnknownSends
from leadflood.domain.sending.service.waiting_sends import WaitingSends
from leadflood.domain.sending.stage import SendStage
from leadflood.domain.suppressions.schemas import (
    AddedSuppression,
    AddressKey,
    OptInView,
    SuppressionInput,
    SuppressionKind,
    SuppressionView,
    Unsubscribed,
)
from leadflood.domain.suppressions.service.opt_ins import OptInService
from leadflood.domain.suppressions.service.suppressions import SuppressionService
from leadflood.domain.suppressions.service.unsubscribing import UnsubscribeService
from leadflood.engine.clock import ManualClock
from leadflood.engine.context import SendDecision
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.outcome import Discard, Done
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, Policy

from tests.support.statements import sql

SETTINGS = Settings(
    sender_name="Grace Sample",
    sender_address="grace@send.example.com",
    reply_to="grace@example.com",
    postal_address="Example Ltd, 1 Test Street, Testville",
    unsubscribe_mailto="stop@example.com",
    public_url="https://u.example.com",
    whatsapp_template_id="17",
    whatsapp_placeholders=("first_name", "offer"),
)
ADDRESS_KEY = AddressKey(b"a key of the tests")
OFFER = "We help freight teams plan routes 30% faster."
ADA: dict[FieldName, Scalar] = {
    FieldName.FIRST_NAME: "Ada",
    FieldName.FULL_NAME: "Ada Byron",
    FieldName.TITLE: "Head of Logistics",
    FieldName.EMAIL: "ada@acme.example",
    FieldName.EMAIL_STATUS: "valid",
    FieldName.COMPANY_NAME: "Acme Freight",
}


class Published:
    """A publication that remembers what was events."""

    def __init__(self, tx: Tx, events: list[Event], run_ids: list[UUID | None]) -> None:
        self.tx = tx
        self._events = events
        self._run_ids = run_ids

    async def publish(
        self, events: Sequence[Event], *, run_id: UUID | None = None
    ) -> Sequence[UUID]:
        self._run_ids.extend(run_id for _ in events)
        self._events.extend(events)
        return ()


class RecordingPublisher:
    """Opens real transactions; events of those that commit are in `events`, each with its run."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.events: list[Event] = []
        self.run_ids: list[UUID | None] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Published]:
        events: list[Event] = []
        run_ids: list[UUID | None] = []
        async with self._db.transaction() as tx:
            yield Published(tx, events, run_ids)
        self.events.extend(events)
        self.run_ids.extend(run_ids)


class CountingSender:
    """Records messages, or raises the error of the test."""

    name = "counting"

    def __init__(self, channel: Channel = Channel.EMAIL) -> None:
        self.channel = channel
        self.sent: list[OutgoingMessage] = []
        self.fails_with: Exception | None = None
        self.arrival = Arrival.CANNOT_TELL
        self.looked_up: list[str] = []

    async def send(self, message: OutgoingMessage) -> Receipt:
        self.sent.append(message)
        if self.fails_with is not None:
            raise self.fails_with
        return Receipt(remote_id=f"r-{len(self.sent)}")

    async def look_up(self, message: OutgoingMessage, since: object) -> Arrival:
        del since
        self.looked_up.append(message.intent_id)
        return self.arrival


class World:
    """Everything that messages touch, on one database."""

    def __init__(
        self,
        db: Database,
        settings: Settings = SETTINGS,
        writer: TextWriter | None = None,
        key: AddressKey = ADDRESS_KEY,
        missing_senders: Mapping[Channel, str] = NO_SENDER_MISSING,
    ) -> None:
        self.db = db
        self.clock = ManualClock()
        self.ids = Ids(self.clock, seed=1)
        self.sender = CountingSender()
        self.settings = settings
        self.publisher = RecordingPublisher(db)
        senders = {Channel.EMAIL: self.sender, Channel.WHATSAPP: CountingSender(Channel.WHATSAPP)}
        ports = Ports(writer=writer, missing_senders=missing_senders)
        self.generate = GenerateStage(Policy(), settings, key, self.clock, self.ids, ports)
        self.send = SendStage(Policy(), settings, key, self.clock, senders, missing_senders)
        self.outbox = Outbox(settings, key, self.clock, missing_senders)
        self.messages = MessageService(db, self.outbox)
        self.approval = MessageApproval(settings, self.clock, self.ids, self.outbox)
        self.templates = TemplateService(db, settings, self.ids, self.clock)
        self.sending = SendingSwitch(db, self.clock)
        self.unknown_sends = UnknownSends(db, self.publisher, settings, key, self.clock, senders)
        self.waiting_sends = WaitingSends(self.publisher, self.outbox, self.clock)
        self.suppressions = SuppressionService(db, key, self.ids, self.clock)
        self.suppressed_sends = SuppressedSends(key, self.clock)
        self.opt_ins = OptInService(db, key, self.ids, self.clock)
        self.rekeying = SendRekeying(key, self.clock, self.sending)
        self.unsubscribing = UnsubscribeService(db, key, self.ids, self.clock)

    async def run(self, sends: str = "go", *, repeats: bool = False) -> UUID:
        new = runs.NewRun(
            id=self.ids.new(),
            kind="test",
            sends=sends,  # type: ignore[arg-type]
            repeats=repeats,
        )
        return await runs.create(self.db, new, self.clock.now())

    async def icp(self, *, autopilot: bool = True, offer: str = OFFER) -> UUID:
        icp_id = self.ids.new()
        await self.db.execute(
            sql(
                "INSERT INTO icp_profile (id, profile_id, version, name, offer, autopilot,"
                " medium_milli, high_milli, definition, content_hash, created_at)"
                " VALUES ($1, $1, 1, 'test', $2, $3, 1, 2, '{}', '\\x00', $4)",
                "id",
                "offer",
                "autopilot",
                "now",
            ),
            id=icp_id,
            offer=offer,
            autopilot=autopilot,
            now=self.clock.now(),
        )
        return icp_id

    async def lead(self, **values: Scalar) -> UUID:
        fields = ADA | {FieldName(name): value for name, value in values.items()}
        found_values = tuple(
            self.value(field, value) for field, value in fields.items() if value != ""
        )
        async with self.db.transaction() as tx:
            [lead] = await upsert(
                tx, [NewPerson(source="test", values=found_values)], self.ids, self.clock.now()
            )
        return lead.lead_id

    def value(self, field: FieldName, value: Scalar) -> FoundValue:
        return FoundValue(
            field=field,
            value=value,
            source="test",
            method="told",
            observed_at=self.clock.now() - timedelta(days=1),
            confidence=0.9,
            evidence_hash=hashlib.sha256(repr((field, value)).encode()).hexdigest(),
        )

    def claim(self, task: Any, run_id: UUID | None, claim: int = 1) -> "ClaimedTask[Any]":
        return ClaimedTask(task, self.ids.new(), claim, run_id, 0, self.clock.now())

    async def drafted(self, lead_ids: Sequence[UUID], run_id: UUID, icp_id: UUID) -> list[Event]:
        """Run `message.generate` on leads; return the events."""
        claims = [
            self.claim(LeadQualified(lead_id, icp_id, self.ids.new()), run_id)
            for lead_id in lead_ids
        ]
        inputs = await self.generate.load(self.db, claims)
        finished = []
        for claimed, loaded in zip(claims, inputs, strict=True):
            outcome = loaded if isinstance(loaded, Discard) else await self.generate.work(loaded)  # type: ignore[arg-type]
            finished.append(FinishedTask(claimed, outcome, loaded))  # type: ignore[arg-type]
        async with self.db.transaction() as tx:
            follows = await self.generate.commit(tx, finished)
        return [follow.event for follow in follows]

    async def approved(self, count: int = 1, **values: Scalar) -> list[MessageApproved]:
        """Make intents that are ready."""
        run_id, icp_id = await self.run(), await self.icp()
        lead_ids = [
            await self.lead(
                **{"email": f"p{number}@acme.example", "full_name": f"Ada B{number}"} | values
            )
            for number in range(count)
        ]
        events = await self.drafted(lead_ids, run_id, icp_id)
        assert all(isinstance(event, MessageApproved) for event in events), events
        return events  # type: ignore[return-value]

    async def opt_in(
        self, lead_id: UUID, channel: Channel = Channel.WHATSAPP, wording: str = "Yes, write to me"
    ) -> OptInView:
        evidence = OptInEvidence(wording=wording, source="form of 2026-01-02")
        async with self.publisher.transaction() as publication:
            return await self.opt_ins.record(publication, lead_id, channel, evidence, "ann")

    async def withdraw(self, lead_id: UUID, channel: Channel = Channel.WHATSAPP) -> None:
        async with self.publisher.transaction() as publication:
            await self.opt_ins.withdraw(publication, lead_id, channel, "ann", "asked")

    async def hold(self, by: str, reason: str) -> SendingStatus:
        async with self.db.transaction() as tx:
            return await self.sending.hold(tx, by, reason)

    async def release(self, by: str = "test", reason: str = "go") -> SendingStatus:
        async with self.db.transaction() as tx:
            return await self.sending.release(tx, by, reason)

    async def resolve(self, intent_id: UUID, *, sent: bool, by: str) -> IntentState:
        async with self.publisher.transaction() as publication:
            return await self.unknown_sends.resolve(publication, intent_id, sent=sent, by=by)

    async def resolve_many(
        self, intent_ids: Sequence[UUID], *, sent: bool, by: str
    ) -> Sequence[ResolvedSend]:
        async with self.publisher.transaction() as publication:
            return await self.unknown_sends.resolve_many(publication, intent_ids, sent=sent, by=by)

    async def run_of(self, event: MessageApproved) -> UUID:
        run_id: UUID = await self.db.fetch_value(
            sql("SELECT run_id FROM intent WHERE id = $1", "id"), id=event.intent_id
        )
        return run_id

    async def approve(self, message_id: UUID, by: str) -> MessageView:
        async with self.publisher.transaction() as publication:
            return await self.approval.approve(publication, message_id, Decider(by=by))

    async def reject(self, message_id: UUID, by: str, reason: str = "") -> MessageView:
        async with self.publisher.transaction() as publication:
            return await self.approval.reject(publication, message_id, Decider(by=by), reason)

    async def suppress(
        self,
        kind: SuppressionKind,
        value: str,
        reason: str,
        *,
        by: str,
        expected_count: int | None = 10**9,
    ) -> AddedSuppression:
        suppression = SuppressionInput(
            kind=kind, value=value, reason=reason, expected_count=expected_count
        )
        async with self.publisher.transaction() as publication:
            return await self.suppressions.add(publication, suppression, by=by, source="manual")

    async def lift(self, suppression_id: UUID, by: str) -> SuppressionView:
        async with self.db.transaction() as tx:
            return await self.suppressions.lift(tx, suppression_id, by)

    async def unsubscribe(self, token: str) -> Unsubscribed:
        async with self.publisher.transaction() as publication:
            return await self.unsubscribing.unsubscribe(publication, token)

    async def add_template(self, template: TemplateInput, by: str) -> TemplateView:
        async with self.db.transaction() as tx:
            return await self.templates.add(tx, template, by)

    async def load_send(
        self, event: MessageApproved, claim: int = 1, attempts: int = 0
    ) -> "ClaimedTask[Any]":
        """Claim a send and load it; its input, or the outcome in its place, is in `input`."""
        run_id = await self.db.fetch_value(
            sql("SELECT run_id FROM intent WHERE id = $1", "id"), id=event.intent_id
        )
        claimed = self.claim(event, run_id, claim)
        claimed.attempts = attempts
        [claimed.input] = await self.send.load(self.db, [claimed])
        return claimed

    async def authorize(self, *jobs: "ClaimedTask[Any]") -> Sequence[SendDecision]:
        async with self.db.transaction() as tx:
            return await self.send.authorize(tx, jobs)

    async def record(self, job: "ClaimedTask[Any]", error: BaseException | None) -> None:
        async with self.db.transaction() as tx:
            await self.send.record(tx, job, error, None)

    async def end_send(self, job: "ClaimedTask[Any]", outcome: Any) -> list[Event]:
        """Commit one send's outcome; return the events."""
        if isinstance(outcome, Exception):
            outcome = Discard(outcome)
        elif isinstance(outcome, Receipt):
            outcome = Done(outcome)
        async with self.db.transaction() as tx:
            follows = await self.send.commit(tx, [FinishedTask(job, outcome, job.input)])
        return [follow.event for follow in follows]

    async def state(self, event: MessageApproved) -> str:
        state = await self.db.fetch_value(
            sql("SELECT state FROM intent WHERE id = $1", "id"), id=event.intent_id
        )
        return str(state)

    async def job_row(self, job: "ClaimedTask[Any]", state: int = 1) -> None:
        """Insert the row of a claimed job, as the engine keeps it."""
        await self.db.execute(
            sql(
                "INSERT INTO job (id, run_id, created_at, claim, state, stage, payload)"
                " VALUES ($1, $2, $3, $4, $5, 'message.send', '{}')",
                "id",
                "run_id",
                "now",
                "claim",
                "state",
            ),
            id=job.job_id,
            run_id=job.run_id,
            now=self.clock.now(),
            claim=job.claim,
            state=state,
        )
