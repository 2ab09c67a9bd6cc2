"""What people do with messages and sendings: approve, reject, edit, hold, resolve, suppress."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

import msgspec

from leadflood.contracts.ports.sender import Arrival, Sender
from leadflood.contracts.ports.text import Draft, DraftRequest
from leadflood.contracts.values import Channel, SendsPolicy
from leadflood.domain.messaging import store
from leadflood.domain.messaging.form import check_form
from leadflood.domain.messaging.keys import Keys, mask, normalise, normalise_address
from leadflood.domain.messaging.letter import compose, require_settings
from leadflood.domain.messaging.schemas import (
    Intent,
    IntentState,
    IntentView,
    LeadUnsubscribed,
    Message,
    MessageApproved,
    MessageDetail,
    MessageRejected,
    MessageState,
    MessageView,
    SendingStatus,
    Settings,
    SuppressionKind,
    SuppressionView,
    Template,
    Unsubscribed,
)
from leadflood.domain.messaging.template import Renderer
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, FieldProblem, Invalid, LeadfloodError, NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.event import Event

_UNTRUSTED_ONLY = frozenset({"text.link", "text.email", "text.phone", "text.phrase", "text.sign"})


class Publication(Protocol):
    """An open transaction that may publish events."""

    tx: Tx

    async def publish(
        self, events: Sequence[Event], *, run_id: UUID | None = None
    ) -> Sequence[UUID]:
        """Write events and their follow-up jobs."""


class Publisher(Protocol):
    """Opens transactions whose events start jobs when they commit."""

    def transaction(self) -> AbstractAsyncContextManager[Publication]:
        """Open one."""


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a person changes in a draft; None leaves it as it is."""

    subject: str | None = None
    body: str | None = None
    parameters: tuple[str, ...] | None = None


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

    async def list_messages(
        self,
        *,
        state: MessageState | None = None,
        run_id: UUID | None = None,
        before: UUID = store.NEWEST,
        limit: int = 50,
    ) -> tuple[MessageView, ...]:
        """List messages, newest first; page on with the last id as `before`."""
        named = None if state is None else state.value
        return await store.list_messages(
            self._db, state=named, run_id=run_id, before=before, limit=limit
        )

    async def messages_of(
        self, lead_ids: Sequence[UUID], limit: int = 50
    ) -> dict[UUID, list[MessageView]]:
        """List the newest messages to each of these leads; those that are one are not one here."""
        found: dict[UUID, list[MessageView]] = {}
        for message in await store.list_messages_of_leads(self._db, lead_ids, limit):
            found.setdefault(message.lead_id, []).append(message)
        return found

    async def list_of_lead(self, lead_id: UUID) -> tuple[MessageView, ...]:
        """List the messages to a person: of the lead and of all that are one with it."""
        family = await store.find_family(self._db, lead_id)
        return await store.list_messages(self._db, lead_ids=family)

    async def show(self, message_id: UUID) -> MessageDetail:
        """Show a message with the facts that carry it. Raises: NotFound."""
        message = await store.find_message(self._db, message_id)
        if message is None:
            raise _no_message(message_id)
        return MessageDetail(
            message=message,
            facts=await store.find_facts(self._db, message_id),
            problems=await store.find_problems(self._db, message_id),
        )

    async def approve(self, message_id: UUID, by: str) -> MessageView:
        """Let a waiting message go; approving twice changes nothing.

        Raises: NotFound, Conflict, NotConfigured (a setting without which nothing may leave).
        """
        async with self._publisher.transaction() as publication:
            decided = await self._lock(publication.tx, message_id)
            message = decided.message
            if message.state is not MessageState.APPROVED:
                _refuse_unless(message, MessageState.WAITING)
                if decided.lead_deleted:
                    raise Conflict("its lead was deleted: restore the lead first")
                if decided.run_cancelled or decided.sends in {None, SendsPolicy.NEVER}:
                    raise Conflict("its run was cancelled or never sends: start a run that may")
                require_settings(message.channel, self._settings)
                await self._make_ready(publication, message, by)
        return await self._view(message_id)

    async def reject(self, message_id: UUID, by: str, reason: str = "") -> MessageView:
        """Keep a draft from going; rejecting twice changes nothing. Raises: NotFound, Conflict."""
        async with self._publisher.transaction() as publication:
            message = (await self._lock(publication.tx, message_id)).message
            if message.state is not MessageState.REJECTED:
                _refuse_unless(message, MessageState.WAITING, MessageState.NEEDS_DATA)
                await store.decide_message(
                    publication.tx,
                    message_id,
                    MessageState.REJECTED,
                    (by, reason),
                    self._clock.now(),
                )
                rejected = MessageRejected(message.lead_id, message_id)
                await publication.publish([rejected], run_id=message.run_id)
        return await self._view(message_id)

    async def edit(self, message_id: UUID, edit: Edit, by: str) -> MessageView:
        """Put a person's text in place of the draft; it waits for approval again.

        Raises: NotFound, Conflict, Invalid (blank, too long, a merge field left open).
        """
        async with self._publisher.transaction() as publication:
            message = (await self._lock(publication.tx, message_id)).message
            _refuse_unless(message, MessageState.WAITING, MessageState.NEEDS_DATA)
            if message.channel is None:
                raise Conflict(f"there is no address to write to ({message.reason}): add one first")
            edited = self._edited(message, edit, by)
            await store.edit_message(publication.tx, edited, self._clock.now())
        return await self._view(message_id)

    async def add_template(self, template: Template, by: str) -> int:
        """Keep a new version of a text with merge fields; tell its number. Raises: Invalid."""
        if problems := Renderer().check(template):
            first = f"{problems[0].path}: {problems[0].problem}"
            raise Invalid(f"the template cannot be used: {first}", problems)
        version = await self._db.fetch_value(
            store.SQL.add_template,
            id=self._ids.new(),
            name=template.name,
            channel=template.channel.value,
            language=template.language,
            subject=template.subject,
            body=template.body,
            whatsapp_template_id=template.whatsapp_template_id,
            placeholders=list(template.placeholders),
            parameters=list(template.parameters),
            now=self._clock.now(),
            by=by,
        )
        return int(version)

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
        """Stop writing to an address, a domain, a channel or a lead; only a hash is kept.

        Raises: Invalid, NotConfigured.
        """
        if not reason.strip():
            raise _blank("reason", "say why, for the one who reads the list later")
        normal = normalise(kind, value)
        key = self._keys.of(kind, normal)
        line = store.NewSuppression(id=self._ids.new(), kind=kind, key=key, hint=mask(normal))
        async with self._db.transaction() as tx:
            await store.add_suppressions(tx, [line], (reason, source, by), self._clock.now())
            found = await store.find_suppression(tx, key)
        if found is None:
            raise Conflict("the line was lifted in the same moment: try again")
        return found

    async def list_suppressed(
        self, *, before: UUID = store.NEWEST, limit: int = 100
    ) -> tuple[SuppressionView, ...]:
        """List the suppression list, newest first."""
        return await store.list_suppressions(self._db, before=before, limit=limit)

    async def lift(self, suppression_id: UUID, by: str) -> SuppressionView:
        """Take a line off the suppression list; who did it stays readable. Raises: NotFound."""
        lifted = await store.lift_suppression(self._db, suppression_id, by, self._clock.now())
        if lifted is None:
            raise NotFound(f"there is no live suppression {suppression_id}")
        return lifted

    async def lift_value(self, kind: SuppressionKind, value: str, by: str) -> SuppressionView:
        """Take an address, domain, channel or lead off the list. Raises: NotFound, Invalid."""
        found = await store.find_suppression(self._db, self._keys.of(kind, normalise(kind, value)))
        if found is None:
            raise NotFound(f"this {kind} is not suppressed")
        return await self.lift(found.id, by)

    async def record_opt_in(self, channel: Channel, address: str, evidence: str, by: str) -> bool:
        """Write down that a person has agreed, with what proves it; False: it was known.

        Raises: Invalid, NotConfigured.
        """
        if not evidence.strip():
            raise _blank("evidence", "say what proves the agreement: where, when, which words")
        made = await self._db.fetch_value(
            store.SQL.add_opt_in,
            id=self._ids.new(),
            channel=channel.value,
            key=self._keys.of_address(channel, address),
            hint=mask(normalise_address(channel, address)),
            evidence=store.clean(evidence),
            by=by,
            now=self._clock.now(),
        )
        return made is not None

    async def withdraw_opt_in(self, channel: Channel, address: str) -> bool:
        """Write down that an agreement was taken back; False: there was none."""
        key = self._keys.of_address(channel, address)
        count = await self._db.execute(
            store.SQL.withdraw_opt_in, channel=channel.value, key=key, now=self._clock.now()
        )
        return count > 0

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

    async def _make_ready(self, publication: Publication, message: Message, by: str) -> None:
        now = self._clock.now()
        await store.decide_message(publication.tx, message.id, MessageState.APPROVED, (by, ""), now)
        family = await store.find_family(publication.tx, message.lead_id)
        intent = store.NewIntent(id=self._ids.new(), message=message, lead_ids=family)
        await store.record_intents(publication.tx, [intent], self._keys, self._settings, now)
        approved = MessageApproved(message.lead_id, message.id, intent.id)
        await publication.publish([approved], run_id=message.run_id)

    async def _lock(self, tx: Tx, message_id: UUID) -> store.Decided:
        decided = await store.lock_message(tx, message_id)
        if decided is None:
            raise _no_message(message_id)
        return decided

    async def _view(self, message_id: UUID) -> MessageView:
        view = await store.find_message(self._db, message_id)
        if view is None:
            raise _no_message(message_id)
        return view

    def _edited(self, message: Message, edit: Edit, by: str) -> Message:
        parameters = message.parameters if edit.parameters is None else edit.parameters
        edited = msgspec.structs.replace(
            message,
            subject=store.clean(message.subject if edit.subject is None else edit.subject),
            body=store.clean(message.body if edit.body is None else edit.body),
            parameters=tuple(map(store.clean, parameters)),
            writer=f"person:{by}",
        )
        problems = [
            problem
            for problem in check_form(self._request(edited), _draft_of(edited))
            if problem.code not in _UNTRUSTED_ONLY
        ]
        if problems:
            fields = tuple(FieldProblem(one.code, one.detail) for one in problems)
            raise Invalid(f"the text cannot go out: {problems[0].code}", fields)
        return edited

    def _request(self, message: Message) -> DraftRequest:
        return DraftRequest(
            subject_id=str(message.lead_id),
            channel=message.channel or Channel.EMAIL,
            facts=(),
            offer="",
            sender_name=self._settings.sender_name,
            max_subject=self._settings.max_subject,
            max_body=self._settings.max_body,
            placeholders=message.placeholders,
        )

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


def _draft_of(message: Message) -> Draft:
    return Draft(subject=message.subject, body=message.body, parameters=message.parameters)


def _refuse_unless(message: Message, *states: MessageState) -> None:
    if message.state not in states:
        wanted = " or ".join(states)
        raise Conflict(f"message {message.id} is {message.state}: only one that is {wanted} may be")


def _no_message(message_id: UUID) -> NotFound:
    return NotFound(f"there is no message {message_id}")


def _blank(path: str, problem: str) -> Invalid:
    return Invalid(f"{path}: {problem}", (FieldProblem(path, problem),))
