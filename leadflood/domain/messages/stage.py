"""The step `message.generate`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.parts import Ports, StageParts
from leadflood.contracts.values import Channel, SendsPolicy
from leadflood.domain.drafting.schemas import DraftInput, DraftResult, Settings, Template
from leadflood.domain.drafting.service.drafter import Drafter
from leadflood.domain.drafting.service.templates import find_current_templates
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.messages import repository
from leadflood.domain.messages.repository import Offer
from leadflood.domain.messages.rules import decide, decline
from leadflood.domain.messages.schemas import Message, MessageDrafted, MessageState
from leadflood.domain.messages.service.drafts import DraftedMessage, record_drafts
from leadflood.domain.messages.service.recipient import name_of
from leadflood.domain.scoring.schemas import LeadQualified
from leadflood.domain.sending.schemas import ContactPast, EarlierMessage, MessageApproved
from leadflood.domain.sending.service.contact_history import past_of
from leadflood.domain.sending.service.outbox import Outbox
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.domain.suppressions.service.recipients import Recipients
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound, code_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome
from leadflood.engine.queue.runs import Run
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage


class GenerateInput(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a message: the draft, and what its run and its ICP allow.

    `earlier`: what its person got before, where no other first message is asked for.
    """

    message_id: UUID
    intent_id: UUID
    icp_id: UUID
    run_id: UUID
    sends: str
    is_autopilot: bool
    repeats: bool
    earlier: EarlierMessage | None
    draft: DraftInput


class _LoadedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The rows read for a batch of tasks."""

    profiles: Mapping[UUID, LeadProfile]
    offers: Mapping[UUID, Offer]
    runs: Mapping[UUID, Run]
    templates: Mapping[Channel, Template]
    opted_in: frozenset[UUID]
    pasts: Mapping[UUID, ContactPast]
    stopped: Mapping[UUID, frozenset[Channel]]


class GenerateStage(Stage[LeadQualified, GenerateInput, DraftedMessage]):
    """Drafts a message for a lead that scored HIGH."""

    name = "message.generate"
    task: ClassVar[Any] = LeadQualified
    default_policy: ClassVar[Policy] = Policy(concurrency=64, timeout_seconds=120.0)

    def __init__(
        self,
        policy: Policy,
        settings: Settings,
        key: AddressKey,
        clock: Clock,
        ids: Ids,
        ports: Ports,
    ) -> None:
        super().__init__(policy)
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._drafter = Drafter(settings, ports.writer, has_verifier=ports.verifier is not None)
        self._recipients = Recipients(key)
        self._outbox = Outbox(settings, key, clock, ports.missing_senders)

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        settings, key = parts.settings_of(Settings), parts.settings_of(AddressKey)
        return cls(policy, settings, key, parts.clock, parts.ids, parts.ports)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[LeadQualified]]
    ) -> Sequence[GenerateInput | Outcome[DraftedMessage]]:
        profiles = await leads.find_profiles(db, [task.task.lead_id for task in tasks])
        batch = _LoadedBatch(
            profiles=profiles,
            offers=await repository.find_offers(db, (task.task.icp_id for task in tasks)),
            runs=await runs.find(db, sorted({task.run_id for task in tasks if task.run_id})),
            templates=await find_current_templates(db, self._settings),
            opted_in=await self._find_opted_in(db, profiles.values()),
            pasts=await self._outbox.find_pasts(db, profiles.values()),
            stopped=await self._recipients.find_stopped(db, profiles.values()),
        )
        return [self._load_one(task, batch) for task in tasks]

    @override
    async def work(self, item: GenerateInput) -> Outcome[DraftedMessage]:
        if item.earlier is not None:
            message = decline(_message_of(item, DraftResult()), item.earlier)
            return Done(DraftedMessage(message=message, intent_id=item.intent_id))
        result = await self._drafter.draft(item.draft, self._clock.now())
        message = decide(
            _message_of(item, result), sends=item.sends, is_autopilot=item.is_autopilot
        )
        return Done(DraftedMessage(message=message, intent_id=item.intent_id))

    @override
    async def commit(
        self, tx: Tx, tasks: Sequence[FinishedTask[LeadQualified, DraftedMessage]]
    ) -> Sequence[FollowUp]:
        drafts = {
            draft.message.id: (finished, draft)
            for finished in tasks
            if (draft := self._draft_of(finished)) is not None
        }
        new_ids = await record_drafts(
            tx, [draft for _, draft in drafts.values()], self._outbox, self._clock.now()
        )
        return [
            finished.follow_up(_event_of(draft))
            for message_id, (finished, draft) in drafts.items()
            if message_id in new_ids
        ]

    async def _find_opted_in(self, db: Reader, profiles: Iterable[LeadProfile]) -> frozenset[UUID]:
        """Return the leads that have agreed to WhatsApp."""
        phones = {profile.lead_id: profile.address(Channel.WHATSAPP) for profile in profiles}
        return await self._recipients.find_opted_in(db, Channel.WHATSAPP, phones)

    def _load_one(
        self, task: ClaimedTask[LeadQualified], batch: _LoadedBatch
    ) -> GenerateInput | Outcome[DraftedMessage]:
        profile = batch.profiles.get(task.task.lead_id)
        offer = batch.offers.get(task.task.icp_id)
        run = None if task.run_id is None else batch.runs.get(task.run_id)
        if profile is None or profile.is_deleted or offer is None or run is None:
            return Discard(_gone(task, profile, offer))
        return GenerateInput(
            message_id=self._ids.new(),
            intent_id=self._ids.new(),
            icp_id=task.task.icp_id,
            run_id=run.id,
            sends=run.sends,
            is_autopilot=offer.is_autopilot,
            repeats=run.repeats,
            earlier=None if run.repeats else past_of(batch.pasts, profile.lead_id).earlier,
            draft=DraftInput(
                profile=profile,
                offer=offer.text,
                may_whatsapp=profile.lead_id in batch.opted_in,
                may_ask_writer=run.sends != SendsPolicy.NEVER,
                templates=batch.templates,
                attempts=task.attempts,
                stopped=batch.stopped.get(profile.lead_id, frozenset()),
            ),
        )

    def _draft_of(
        self, finished: FinishedTask[LeadQualified, DraftedMessage]
    ) -> DraftedMessage | None:
        """Return what to store; a lead whose drafting failed gets a message that says so."""
        if isinstance(finished.outcome, Done):
            return finished.outcome.result
        error = finished.outcome.error
        if finished.run_id is None or isinstance(error, Cancelled | NotFound):
            return None
        loaded: GenerateInput | None = finished.input
        lead_id = finished.task.lead_id if loaded is None else loaded.draft.profile.lead_id
        message = Message(
            id=self._ids.new(),
            lead_id=lead_id,
            icp_id=finished.task.icp_id,
            run_id=finished.run_id,
            state=MessageState.NEEDS_DATA,
            reason=f"failed:{code_of(error)}",
        )
        return DraftedMessage(message=message, intent_id=self._ids.new())


def _message_of(item: GenerateInput, result: DraftResult) -> Message:
    """Return a drafted text as a message that nobody has decided on yet."""
    profile = item.draft.profile
    return Message(
        id=item.message_id,
        lead_id=profile.lead_id,
        icp_id=item.icp_id,
        run_id=item.run_id,
        state=MessageState.NEEDS_DATA,
        to_name=name_of(profile),
        repeats=item.repeats,
        **msgspec.structs.asdict(result),
    )


def _event_of(draft: DraftedMessage) -> MessageDrafted | MessageApproved:
    message = draft.message
    if message.state is MessageState.APPROVED:
        return MessageApproved(message.lead_id, message.id, draft.intent_id)
    return MessageDrafted(message.lead_id, message.icp_id, message.id)


def _gone(
    task: ClaimedTask[LeadQualified], profile: LeadProfile | None, offer: Offer | None
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
