"""What people do with messages and sendings: decide, hold, resolve, suppress."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

import msgspec

from leadflood.contracts.ports.sender import Arrival, Sender
from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas import LeadProfile, OptInEvidence
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.messaging import store
from leadflood.domain.messaging.deciding import Decisions, Publication, no_message, require_owned
from leadflood.domain.messaging.facts import number_facts
from leadflood.domain.messaging.keys import Keys, mask, normalise
from leadflood.domain.messaging.letter import compose
from leadflood.domain.messaging.opt_ins import OptIns
from leadflood.domain.messaging.schemas import (
    Decider,
    Intent,
    IntentState,
    IntentView,
    LeadUnsubscribed,
    MessageApproved,
    MessageDetail,
    MessageFilter,
    MessageState,
    MessageView,
    OptInView,
    SendingStatus,
    Settings,
    SuppressionInput,
    SuppressionKind,
    SuppressionView,
    TemplateDetail,
    TemplateInput,
    TemplatePreview,
    TemplateView,
    Unsubscribed,
)
from leadflood.domain.messaging.templates import SAMPLE_FACTS, SAMPLE_OFFER, Templates
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Invalid, LeadfloodError, NotFound
from leadflood.engine.ids import Ids


class Publisher(Protocol):
    """Opens transactions whose events start jobs when they commit."""

    def transaction(self) -> AbstractAsyncContextManager[Publication]:
        """Open one."""


class LookedUp(msgspec.Struct, frozen=True, rename="camel"):
    """What asking the other side about unknown sendings has settled."""

    sent: int = 0
    not_sent: int = 0
    cannot_tell: int = 0


class MessagingService:
    """The use cases. `publisher` makes events and the jobs that follow part of each decision."""

    def __init__(
        self,
        *,
        db: Database,
        publisher: Publisher,
        settings: Settings,
        clock: Clock,
        ids: Ids,
        senders: Mapping[Channel, Sender] | None = None,
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._senders = senders or {}
        self._keys = Keys(settings.hash_secret)
        self._looked_up_to = store.OLDEST
        self.templates = Templates(settings, ids, clock)
        self.opt_ins = OptIns(ids, clock, self._keys)
        self.decisions = Decisions(
            settings=settings, clock=clock, ids=ids, keys=self._keys, senders=self._senders
        )

    async def list_messages(
        self,
        *,
        state: MessageState | None = None,
        run_id: UUID | None = None,
        before: UUID = store.NEWEST,
        limit: int = 50,
    ) -> tuple[MessageView, ...]:
        """List messages, newest first; page on with the last id as `before`."""
        wanted = MessageFilter(state=state, run_id=run_id)
        return await self.list_some(wanted, before=before, limit=limit)

    async def list_some(
        self, wanted: MessageFilter, *, before: UUID = store.NEWEST, limit: int = 50
    ) -> tuple[MessageView, ...]:
        """List the messages that fit, newest first; those of a lead are those to the person."""
        lead_ids = None
        if wanted.lead_id is not None:
            lead_ids = await store.find_family(self._db, wanted.lead_id)
        return await store.list_messages(
            self._db, wanted, lead_ids=lead_ids, before=before, limit=limit
        )

    async def messages_of(
        self, db: Reader, lead_ids: Sequence[UUID], limit: int = 50
    ) -> dict[UUID, list[MessageView]]:
        """List the newest messages to each of these leads; those that are one are not one here."""
        found: dict[UUID, list[MessageView]] = {}
        for message in await store.list_messages_of_leads(db, lead_ids, limit):
            found.setdefault(message.lead_id, []).append(message)
        return found

    async def list_of_lead(self, lead_id: UUID) -> tuple[MessageView, ...]:
        """List the messages to a person: of the lead and of all that are one with it."""
        family = await store.find_family(self._db, lead_id)
        return await store.list_messages(self._db, MessageFilter(), lead_ids=family)

    async def show(self, message_id: UUID, owner: str | None = None) -> MessageDetail:
        """Show a message with the facts that carry it; `owner` None sees those to all leads.

        Raises: NotFound.
        """
        message = await store.find_message(self._db, message_id)
        if message is None:
            raise no_message(message_id)
        await require_owned(self._db, message.lead_id, message_id, owner)
        return MessageDetail(
            message=message,
            facts=await store.find_facts(self._db, message_id),
            problems=await store.find_problems(self._db, message_id),
            version=message.version,
        )

    async def approve(self, message_id: UUID, by: str) -> MessageView:
        """Let a waiting message go; see `Decisions.approve`."""
        async with self._publisher.transaction() as publication:
            return await self.decisions.approve(publication, message_id, Decider(by=by))

    async def reject(self, message_id: UUID, by: str, reason: str = "") -> MessageView:
        """Keep a draft from going; see `Decisions.reject`."""
        async with self._publisher.transaction() as publication:
            return await self.decisions.reject(publication, message_id, Decider(by=by), reason)

    async def list_templates(self) -> list[TemplateView]:
        """List the texts that drafts are written from; see `Templates.list_newest`."""
        return await self.templates.list_newest(self._db)

    async def get_template(self, template_id: UUID) -> TemplateDetail:
        """Return one version of a text with its history. Raises: NotFound."""
        return await self.templates.get(self._db, template_id)

    async def add_template(self, given: TemplateInput, by: str) -> TemplateView:
        """Write a new version of a text; see `Templates.add`."""
        async with self._db.transaction() as tx:
            return await self.templates.add(tx, given, by)

    async def preview_template(
        self,
        given: TemplateInput,
        *,
        lead_id: UUID | None = None,
        offer: str = "",
        owner: str | None = None,
    ) -> TemplatePreview:
        """Fill a text for a lead, or (None) for somebody made up; `owner` None sees all leads.

        Raises: Invalid, NotFound.
        """
        facts, subject_id = SAMPLE_FACTS, "nobody"
        if lead_id is not None:
            profile = (await leads.find_profiles(self._db, [lead_id])).get(lead_id)
            if profile is None or not await self._may_see(profile, owner):
                raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
            facts = number_facts(
                profile.values, self._clock.now(), self._settings.fact_max_age_days
            )
            subject_id = str(profile.lead_id)
        return self.templates.preview(given, facts, offer or SAMPLE_OFFER, subject_id)

    async def _may_see(self, profile: LeadProfile, owner: str | None) -> bool:
        if profile.is_deleted:
            return False
        return owner is None or await store.find_owner(self._db, profile.lead_id) == owner

    async def hold(self, by: str, reason: str) -> SendingStatus:
        """Stop all sending. Once this answers, no intent leaves `ready`.

        The answer lists the intents in `sending`: only these may still arrive.
        Waits: for every authorize under way.
        """
        async with self._db.transaction() as tx:
            return await self.switch(tx, is_held=True, by=by, reason=reason)

    async def release(self, by: str, reason: str) -> SendingStatus:
        """Let sending go on."""
        async with self._db.transaction() as tx:
            return await self.switch(tx, is_held=False, by=by, reason=reason)

    async def switch(self, tx: Tx, *, is_held: bool, by: str, reason: str) -> SendingStatus:
        """Hold or release within a transaction that writes more; it holds once that commits."""
        await store.own_sending_lock(tx)
        state = "held" if is_held else "released"
        await store.write_switch(tx, state, by, reason, self._clock.now())
        return await store.read_status(tx)

    async def sending_status(self) -> SendingStatus:
        """Tell whether sending is held, and what may still arrive."""
        return await store.read_status(self._db)

    async def unknown_list(
        self, *, after: UUID = store.OLDEST, limit: int = 100
    ) -> tuple[IntentView, ...]:
        """List the sendings of which nobody knows whether they arrived, oldest first."""
        return await store.list_intents(self._db, IntentState.UNKNOWN, after=after, limit=limit)

    async def find_unsettled(self, intent_ids: Sequence[UUID]) -> set[UUID]:
        """Find which of these may have arrived, or may just be on their way."""
        found = await store.find_intents(self._db, intent_ids)
        open_states = {IntentState.UNKNOWN, IntentState.SENDING}
        return {intent.id for intent in found.values() if intent.state in open_states}

    async def resolve_unknown(self, intent_id: UUID, *, sent: bool, by: str) -> IntentState:
        """Say whether an unknown sending arrived; one that did not goes again.

        Raises: NotFound, Conflict when it is not unknown.
        """
        async with self._publisher.transaction() as publication:
            return await self.resolve(publication, intent_id, sent=sent, by=by)

    async def resolve(
        self, publication: Publication, intent_id: UUID, *, sent: bool, by: str
    ) -> IntentState:
        """Say it within a transaction that writes more. Raises: NotFound, Conflict."""
        row = (await store.lock_intents(publication.tx, [intent_id])).get(intent_id)
        if row is None:
            raise NotFound(f"there is no sending {intent_id}")
        if row.state is not IntentState.UNKNOWN:
            raise Conflict(f"sending {intent_id} is {row.state}: only an unknown one is resolved")
        state = IntentState.ACCEPTED if sent else IntentState.READY
        code = "" if sent else "effect.not_sent"
        change = store.Change(row=row, state=state, code=code, resolved_by=by)
        outcomes = await store.write_changes(publication.tx, [change], self._clock.now())
        events = list(outcomes.events.values())
        if not sent:
            events = [MessageApproved(row.lead_id, row.message_id, row.id)]
        await publication.publish(events, run_id=row.run_id)
        return state

    async def settle_lost(self) -> int:
        """Make unknown what is in sending under a claim that is gone; tell how many."""
        async with self._publisher.transaction() as publication:
            outcomes = await store.settle_lost(publication.tx, self._clock.now())
            for intent_id, event in outcomes.events.items():
                await publication.publish([event], run_id=outcomes.run_ids[intent_id])
        return len(outcomes.events)

    async def settle_unknown_by_lookup(self, limit: int = 50) -> LookedUp:
        """Ask the other side about unknown sendings, and settle what it can tell."""
        counts = dict.fromkeys(Arrival, 0)
        async for intent in self._unknown(limit):
            arrival = await self._look_up(intent)
            counts[arrival] += 1
            if arrival is not Arrival.CANNOT_TELL:
                await self._settle(intent.id, is_sent=arrival is Arrival.SENT)
        return LookedUp(
            sent=counts[Arrival.SENT],
            not_sent=counts[Arrival.NOT_SENT],
            cannot_tell=counts[Arrival.CANNOT_TELL],
        )

    async def suppress(
        self, kind: SuppressionKind, value: str, reason: str, *, by: str, source: str = "manual"
    ) -> SuppressionView:
        """Stop writing to an address, a domain, a channel or a lead; see `suppress_in`."""
        given = SuppressionInput(kind=kind, value=value, reason=reason)
        async with self._db.transaction() as tx:
            return await self.suppress_in(tx, given, by=by, source=source)

    async def suppress_in(
        self, tx: Tx, given: SuppressionInput, *, by: str, source: str = "manual"
    ) -> SuppressionView:
        """Stop writing to somebody, within a transaction that writes more; only a hash is kept.

        One that is on the list already keeps its line. Raises: Invalid, NotConfigured.
        """
        if not given.reason.strip():
            raise Invalid.field("reason", "say why, for the one who reads the list later")
        try:
            normal = normalise(given.kind, given.value)
        except Invalid as error:
            raise Invalid.field(
                "value", error.detail, detail=error.detail, code=error.error_code
            ) from error
        key = self._keys.of(given.kind, normal)
        line = self._line(given.kind, key, mask(normal))
        await store.add_suppressions(tx, [line], (given.reason, source, by), self._clock.now())
        found = await store.find_suppression(tx, key)
        if found is None:
            raise Conflict("the line was lifted in the same moment: try again")
        return found

    async def find_suppressed(self, kind: SuppressionKind, value: str) -> SuppressionView | None:
        """Find the line of an address, domain, channel or lead. Raises: Invalid, NotConfigured."""
        return await store.find_suppression(self._db, self._keys.of(kind, normalise(kind, value)))

    async def list_suppressed(
        self,
        *,
        kind: SuppressionKind | None = None,
        before: UUID = store.NEWEST,
        limit: int = 100,
    ) -> tuple[SuppressionView, ...]:
        """List the suppression list, newest first."""
        return await store.list_suppressions(self._db, kind=kind, before=before, limit=limit)

    async def lift(self, suppression_id: UUID, by: str) -> SuppressionView:
        """Take a line off the suppression list; see `lift_in`."""
        async with self._db.transaction() as tx:
            return await self.lift_in(tx, suppression_id, by)

    async def lift_in(self, tx: Tx, suppression_id: UUID, by: str) -> SuppressionView:
        """Take a line off the list, within a transaction that writes more; who did it stays.

        Raises: NotFound.
        """
        lifted = await store.lift_suppression(tx, suppression_id, by, self._clock.now())
        if lifted is None:
            raise NotFound(
                f"there is no live suppression {suppression_id}", code="suppression.not_found"
            )
        return lifted

    async def lift_value(self, kind: SuppressionKind, value: str, by: str) -> SuppressionView:
        """Take an address, domain, channel or lead off the list. Raises: NotFound, Invalid."""
        found = await self.find_suppressed(kind, value)
        if found is None:
            raise NotFound(f"this {kind} is not suppressed", code="suppression.not_found")
        return await self.lift(found.id, by)

    async def record_opt_in(
        self,
        publication: Publication,
        lead_id: UUID,
        channel: Channel,
        evidence: OptInEvidence,
        by: str,
    ) -> OptInView:
        """Write down that a person agreed to a channel; see `OptIns.record`. Raises: NotFound."""
        profile = await _lock_person(publication.tx, lead_id)
        return await self.opt_ins.record(publication, profile, channel, evidence, by)

    async def withdraw_opt_in(
        self, publication: Publication, lead_id: UUID, channel: Channel, by: str, reason: str
    ) -> None:
        """Write down that a person took it back; see `OptIns.withdraw`. Raises: NotFound."""
        profile = await _lock_person(publication.tx, lead_id)
        await self.opt_ins.withdraw(publication, profile, channel, by, reason)

    async def list_opt_ins(self, lead_id: UUID) -> list[OptInView]:
        """List what a person agreed to, live or withdrawn, newest first."""
        family = await store.find_family(self._db, lead_id)
        found = await self.opt_ins.list_of(self._db, family)
        opt_ins = [opt_in for member in family for opt_in in found.get(member, ())]
        return sorted(opt_ins, key=lambda opt_in: opt_in.id, reverse=True)

    async def peek_unsubscribe(self, token: str) -> Unsubscribed:
        """Tell whom a token speaks for, and change nothing."""
        found = await store.find_token(self._db, token)
        if found is None:
            return Unsubscribed(known=False, first_time=False, hint="")
        return found.tell(first_time=found.used_at is None)

    async def unsubscribe(self, token: str, source: str = "one_click") -> Unsubscribed:
        """Stop every channel to the person a token speaks for; again changes nothing."""
        now = self._clock.now()
        async with self._publisher.transaction() as publication:
            found = await store.find_token(publication.tx, token)
            if found is None:
                return Unsubscribed(known=False, first_time=False, hint="")
            first_time = await store.use_token(publication.tx, token, now)
            family = await store.find_family(publication.tx, found.lead_id)
            lines = [self._line(SuppressionKind.ADDRESS, found.address_key, found.hint)]
            lines += [
                self._line(SuppressionKind.LEAD, self._keys.of_lead(lead_id), str(lead_id))
                for lead_id in family
            ]
            why = ("unsubscribed", source, "the person")
            await store.add_suppressions(publication.tx, lines, why, now)
            if first_time:
                await publication.publish([LeadUnsubscribed(found.lead_id, found.intent_id)])
        return found.tell(first_time=first_time)

    async def _unknown(self, limit: int) -> AsyncIterator[Intent]:
        """Go through the unknown in turns, so that those nobody can tell hide no others."""
        views = await store.list_intents(
            self._db, IntentState.UNKNOWN, after=self._looked_up_to, limit=limit
        )
        self._looked_up_to = views[-1].id if len(views) == limit else store.OLDEST
        found = await store.find_intents(self._db, (view.id for view in views))
        for view in views:
            if view.id in found:
                yield found[view.id]

    async def _look_up(self, intent: Intent) -> Arrival:
        """Ask one sender; what cannot be asked now is asked again later."""
        sender = self._senders.get(intent.channel)
        if sender is None or intent.sending_at is None:
            return Arrival.CANNOT_TELL
        try:
            letter = compose(intent, self._settings, self._keys)
            arrival = await sender.look_up(letter, intent.sending_at)
        except LeadfloodError:
            return Arrival.CANNOT_TELL
        age_seconds = (self._clock.now() - intent.sending_at).total_seconds()
        if arrival is Arrival.NOT_SENT and age_seconds < self._settings.not_sent_after_seconds:
            return Arrival.CANNOT_TELL
        return arrival

    async def _settle(self, intent_id: UUID, *, is_sent: bool) -> None:
        try:
            await self.resolve_unknown(intent_id, sent=is_sent, by="look-up")
        except Conflict:
            return  # a person or the call itself was faster

    def _line(self, kind: SuppressionKind, key: bytes, hint: str) -> store.NewSuppression:
        return store.NewSuppression(id=self._ids.new(), kind=kind, key=key, hint=hint)


async def _lock_person(tx: Tx, lead_id: UUID) -> LeadProfile:
    """Lock who a lead is now, so that nobody else says something of them. Raises: NotFound."""
    profile = (await leads.find_profiles(tx, [lead_id])).get(lead_id)
    if profile is None or profile.is_deleted:
        raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
    await leads.lock_states(tx, [profile.lead_id])
    return profile
