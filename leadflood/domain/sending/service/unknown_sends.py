"""Unknown sends: those that may have arrived, settled by a person or by a look-up."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from leadflood.contracts.ports.sender import Arrival, Sender
from leadflood.contracts.values import Channel
from leadflood.domain.sending import repository
from leadflood.domain.sending.rules.compose import compose
from leadflood.domain.sending.rules.transitions import StateChange, close_lost
from leadflood.domain.sending.schemas import (
    ALL_UNKNOWN,
    Intent,
    IntentState,
    IntentView,
    LookupCounts,
    MessageApproved,
    ResolvedSend,
    Settings,
    UnknownFilter,
    UnknownSummary,
)
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.domain.suppressions.service.recipients import Recipients
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, LeadfloodError, NotFound
from leadflood.engine.ids import OLDEST
from leadflood.engine.queue import dead_letters
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.publisher import PublishingTransaction

SEND_STAGE = "message.send"
_UNSETTLED = frozenset({IntentState.UNKNOWN, IntentState.SENDING})


class EventPublisher(Protocol):
    """Opens transactions whose events start jobs when they commit."""

    def transaction(self) -> AbstractAsyncContextManager[PublishingTransaction]:
        """Open one."""


class _SendTask(msgspec.Struct, frozen=True):
    """The part of a sending's payload that names its intent, whatever wrote it."""

    intent_id: UUID | None = None


class UnknownSends:
    """Lists and settles the sends of which nobody knows whether they arrived."""

    def __init__(
        self,
        db: Database,
        publisher: EventPublisher,
        settings: Settings,
        key: AddressKey,
        clock: Clock,
        senders: Mapping[Channel, Sender] | None = None,
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._settings = settings
        self._clock = clock
        self._senders = senders or {}
        self._recipients = Recipients(key)
        self._cursor = OLDEST

    async def list(
        self, chosen: UnknownFilter = ALL_UNKNOWN, *, after: UUID = OLDEST, limit: int = 100
    ) -> tuple[IntentView, ...]:
        """List the unknown sends, oldest first."""
        return await repository.list_intents(
            self._db, IntentState.UNKNOWN, after=after, limit=limit, chosen=chosen
        )

    async def summarize(self) -> tuple[UnknownSummary, ...]:
        """Sum the unknown sends by channel."""
        return await repository.summarize_unknown(self._db)

    async def find_doubtful(self, db: Reader, letter_ids: Sequence[UUID]) -> Sequence[UUID]:
        """Return the dead letters whose send may have arrived: they are not replayed."""
        payloads = await dead_letters.find_payloads(db, letter_ids, SEND_STAGE)
        intents = {letter_id: _intent_of(payload) for letter_id, payload in payloads.items()}
        unsettled = await _find_unsettled(db, [intent for intent in intents.values() if intent])
        return [letter_id for letter_id, intent in intents.items() if intent in unsettled]

    async def reopen_refused(self, tx: Tx, payloads: Sequence[str]) -> None:
        """Make refused sends ready again: nothing arrived, and a person wants them tried anew."""
        intents = [intent_id for payload in payloads if (intent_id := _intent_of(payload))]
        now = self._clock.now()
        latest_useful_at = now + timedelta(hours=self._settings.latest_useful_hours)
        await repository.reopen_refused(tx, intents, latest_useful_at)

    async def resolve(
        self, publication: PublishingTransaction, intent_id: UUID, *, sent: bool, by: str
    ) -> IntentState:
        """Record whether an unknown send arrived; one that did not goes again.

        Raises: NotFound, Conflict when it is not unknown.
        """
        results = await self.resolve_many(publication, [intent_id], sent=sent, by=by)
        if not results:
            raise NotFound(f"there is no sending {intent_id}")
        result = results[0]
        if not result.is_resolved:
            raise Conflict(
                f"sending {intent_id} is {result.state}: only an unknown one is resolved"
            )
        return result.state

    async def resolve_many(
        self,
        publication: PublishingTransaction,
        intent_ids: Sequence[UUID],
        *,
        sent: bool,
        by: str,
    ) -> Sequence[ResolvedSend]:
        """Record whether unknown sends arrived; those that did not go again.

        What is not unknown stays as it is; what is not there is left out.
        """
        intents = (await repository.lock_intents(publication.tx, intent_ids)).values()
        changes = [
            StateChange(
                intent=intent,
                state=IntentState.ACCEPTED if sent else IntentState.READY,
                code="" if sent else "effect.not_sent",
                resolved_by=by,
            )
            for intent in intents
            if intent.state is IntentState.UNKNOWN
        ]
        await repository.write_changes(publication.tx, changes, self._clock.now())
        for change in changes:
            await publication.publish(_events_of(change), run_id=change.intent.run_id)
        states = {change.intent.id: change.state for change in changes}
        return [
            ResolvedSend(
                intent_id=intent.id,
                state=states.get(intent.id, intent.state),
                is_resolved=intent.id in states,
            )
            for intent in intents
        ]

    async def settle_lost(self) -> int:
        """Mark sends under a claim that is gone as unknown; return how many events."""
        async with self._publisher.transaction() as publication:
            changes = [close_lost(intent) for intent in await repository.lock_lost(publication.tx)]
            await repository.write_changes(publication.tx, changes, self._clock.now())
            due_events = [
                (change.event, change.intent.run_id) for change in changes if change.event
            ]
            for event, run_id in due_events:
                await publication.publish([event], run_id=run_id)
        return len(due_events)

    async def settle_by_lookup(self, limit: int = 50) -> LookupCounts:
        """Ask the other side about unknown sends, and resolve those it knows of."""
        counts = dict.fromkeys(Arrival, 0)
        async for intent in self._next_unknown(limit):
            arrival = await self._look_up(intent)
            counts[arrival] += 1
            if arrival is not Arrival.CANNOT_TELL:
                await self._settle(intent.id, is_sent=arrival is Arrival.SENT)
        return LookupCounts(
            sent=counts[Arrival.SENT],
            not_sent=counts[Arrival.NOT_SENT],
            cannot_tell=counts[Arrival.CANNOT_TELL],
        )

    async def _next_unknown(self, limit: int) -> AsyncIterator[Intent]:
        """Go through the unknown page by page, so that those nobody knows of hide no others."""
        views = await self.list(after=self._cursor, limit=limit)
        self._cursor = views[-1].id if len(views) == limit else OLDEST
        intents = await repository.find_intents(self._db, (view.id for view in views))
        for view in views:
            if view.id in intents:
                yield intents[view.id]

    async def _look_up(self, intent: Intent) -> Arrival:
        """Ask one sender; what cannot be asked now is asked again later."""
        sender = self._senders.get(intent.channel)
        if sender is None or intent.sending_at is None:
            return Arrival.CANNOT_TELL
        try:
            message = compose(intent, self._settings, self._recipients.unsubscribe_token)
            arrival = await sender.look_up(message, intent.sending_at)
        except LeadfloodError:
            return Arrival.CANNOT_TELL
        age_seconds = (self._clock.now() - intent.sending_at).total_seconds()
        if arrival is Arrival.NOT_SENT and age_seconds < self._settings.not_sent_after_seconds:
            return Arrival.CANNOT_TELL
        return arrival

    async def _settle(self, intent_id: UUID, *, is_sent: bool) -> None:
        try:
            async with self._publisher.transaction() as publication:
                await self.resolve(publication, intent_id, sent=is_sent, by="look-up")
        except Conflict:
            return  # a person or the call itself was faster


async def _find_unsettled(db: Reader, intent_ids: Sequence[UUID]) -> set[UUID]:
    """Return those that may have arrived, or may just be on their way."""
    intents = await repository.find_intents(db, intent_ids)
    return {intent.id for intent in intents.values() if intent.state in _UNSETTLED}


def _intent_of(payload: str) -> UUID | None:
    """Return the intent that a job of sending names; None: its payload cannot be read."""
    try:
        return msgspec.json.decode(payload, type=_SendTask).intent_id
    except msgspec.DecodeError:
        return None


def _events_of(change: StateChange) -> Sequence[Event]:
    """Return the events of a resolved send: one that goes again is approved anew."""
    intent = change.intent
    if change.state is IntentState.READY:
        return [MessageApproved(intent.lead_id, intent.message_id, intent.id)]
    return [] if change.event is None else [change.event]
