"""The outbox: approved messages on their way out, one intent for each step of a message."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from leadflood.contracts.addresses import mask_address
from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.sending import repository
from leadflood.domain.sending.repository import IntentRow
from leadflood.domain.sending.rules.compose import explain_setup, make_reference, missing_settings
from leadflood.domain.sending.rules.conditions import check_sendable
from leadflood.domain.sending.schemas import (
    NO_SENDER_MISSING,
    ContactPast,
    NewIntent,
    Settings,
)
from leadflood.domain.sending.service.contact_history import Contact, ContactHistory
from leadflood.domain.sending.service.send_conditions import SendConditionReader
from leadflood.domain.suppressions.schemas import AddressKey, NewUnsubscribeToken
from leadflood.domain.suppressions.service.recipients import Recipients
from leadflood.engine.clock import Clock
from leadflood.engine.context import SendDecision
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotConfigured

SETUP_PATIENCE = timedelta(days=30)
"""How long an approved message waits for a setting before what it says is stale."""
_NO_CLAIM = 0
_NO_JOB = UUID(int=0)


class Outbox:
    """Takes in what was approved, and says what stands against its sending."""

    def __init__(
        self,
        settings: Settings,
        key: AddressKey,
        clock: Clock,
        missing_senders: Mapping[Channel, str] = NO_SENDER_MISSING,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._missing_senders = missing_senders
        self._recipients = Recipients(key)
        self._history = ContactHistory(settings.again_after_days)
        self._conditions = SendConditionReader(key, self._history)

    async def add(self, tx: Tx, intents: Sequence[NewIntent]) -> None:
        """Write intents, ready, with what lets each person say stop.

        A step that has one keeps it. Raises: Invalid.
        """
        if not intents:
            return
        now = self._clock.now()
        rows = [self._row(intent, now) for intent in intents]
        new_ids = await repository.add_intents(tx, rows, now)
        tokens = [self._token(row) for row in rows if row.id in new_ids]
        await self._recipients.issue_tokens(tx, tokens, now)

    async def find_pasts(
        self, db: Reader, people: Iterable[LeadProfile]
    ) -> Mapping[UUID, ContactPast]:
        """Return what people got before, by lead: as any lead that they are, in any mailbox."""
        contacts = [
            Contact(
                id=person.lead_id,
                mailboxes=self._recipients.list_mailboxes(person),
                lead_ids=person.members,
            )
            for person in people
        ]
        return await self._history.find(db, contacts, self._clock.now())

    async def find(self, db: Reader, message_id: UUID, step: int) -> UUID | None:
        """Return the intent of a message's step."""
        return await repository.find_intent(db, message_id, step)

    async def repeat(self, tx: Tx, message_id: UUID, step: int) -> UUID | None:
        """Let a message's step go although its recipient got a first message before.

        Return its intent; None where it was sent, refused or cancelled for another reason.
        """
        latest_useful_at = self._latest_useful(self._clock.now(), Channel.EMAIL)
        return await repository.repeat_intent(tx, message_id, step, latest_useful_at)

    async def check(self, tx: Tx, intent_id: UUID) -> SendDecision:
        """Return the decision that sending itself would get now."""
        now = self._clock.now()
        conditions = (await self._conditions.find(tx, [intent_id], now))[intent_id]
        return check_sendable(conditions, _NO_CLAIM, _NO_JOB, now, 0.0)

    def missing_settings(self, channel: Channel | None) -> tuple[str, ...]:
        """List the settings without which nothing may leave on a channel."""
        return missing_settings(channel, self._settings, self._missing_senders)

    def require_settings(self, channel: Channel | None) -> None:
        """Refuse where a setting is missing. Raises: NotConfigured, naming it."""
        if missing := self.missing_settings(channel):
            raise NotConfigured(f"nothing leaves by {channel} yet: {explain_setup(missing)}")

    def _row(self, intent: NewIntent, now: datetime) -> IntentRow:
        return IntentRow(
            id=intent.id,
            message_id=intent.message_id,
            lead_id=intent.lead_id,
            run_id=intent.run_id,
            step=intent.step,
            reference=make_reference(intent.id, intent.channel, self._settings.sender_address),
            channel=intent.channel,
            to_address=intent.to_address,
            address_hash=self._recipients.hash_address(intent.channel, intent.to_address),
            repeats=intent.repeats,
            latest_useful_at=self._latest_useful(now, intent.channel),
        )

    def _latest_useful(self, now: datetime, channel: Channel) -> datetime:
        """Return until when a send is worth making; one that waits for a setting has longer."""
        wait = timedelta(hours=self._settings.latest_useful_hours)
        return now + (max(wait, SETUP_PATIENCE) if self.missing_settings(channel) else wait)

    def _token(self, row: IntentRow) -> NewUnsubscribeToken:
        return NewUnsubscribeToken(
            token=self._recipients.unsubscribe_token(row.id),
            intent_id=row.id,
            lead_id=row.lead_id,
            address_hash=row.address_hash,
            hint=mask_address(row.to_address),
        )
