"""The outbox: approved messages on their way out, one intent for each step of a message."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from leadflood.contracts.addresses import mask_address, normalize_domain
from leadflood.contracts.ports.sender import Sender
from leadflood.contracts.values import Channel
from leadflood.domain.sending import repository
from leadflood.domain.sending.repository import IntentRow
from leadflood.domain.sending.rules.compose import missing_settings, require_settings
from leadflood.domain.sending.rules.conditions import check_sendable
from leadflood.domain.sending.schemas import NewIntent, Settings
from leadflood.domain.sending.service.send_conditions import SendConditionReader
from leadflood.domain.suppressions.schemas import AddressKey, NewUnsubscribeToken
from leadflood.domain.suppressions.service.recipients import Recipients
from leadflood.engine.clock import Clock
from leadflood.engine.context import SendDecision
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotConfigured

_NO_CLAIM = 0
_NO_JOB = UUID(int=0)


class Outbox:
    """Takes in what was approved, and says what stands against its sending."""

    def __init__(
        self,
        settings: Settings,
        key: AddressKey,
        clock: Clock,
        senders: Mapping[Channel, Sender] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._senders = senders or {}
        self._recipients = Recipients(key)
        self._conditions = SendConditionReader(key)

    async def add(self, tx: Tx, intents: Sequence[NewIntent]) -> None:
        """Write intents, ready, with what lets each person say stop.

        A step that has one keeps it. Raises: Invalid.
        """
        if not intents:
            return
        now = self._clock.now()
        rows = [self._row(intent) for intent in intents]
        latest_useful_at = now + timedelta(hours=self._settings.latest_useful_hours)
        new_ids = await repository.add_intents(tx, rows, latest_useful_at, now)
        tokens = [self._token(row) for row in rows if row.id in new_ids]
        await self._recipients.issue_tokens(tx, tokens, now)

    async def find(self, db: Reader, message_id: UUID, step: int) -> UUID | None:
        """Return the intent of a message's step."""
        return await repository.find_intent(db, message_id, step)

    async def check(self, tx: Tx, intent_id: UUID) -> SendDecision:
        """Return the decision that sending itself would get now."""
        conditions = (await self._conditions.find(tx, [intent_id]))[intent_id]
        return check_sendable(conditions, _NO_CLAIM, _NO_JOB, self._clock.now(), 0.0)

    def missing_settings(self, channel: Channel | None) -> tuple[str, ...]:
        """List the settings without which nothing may leave on a channel."""
        return missing_settings(channel, self._settings)

    def require_settings(self, channel: Channel | None) -> None:
        """Refuse where a setting is missing. Raises: NotConfigured, naming it."""
        require_settings(channel, self._settings)

    def require_sender(self, channel: Channel | None) -> None:
        """Refuse where no provider sends on a channel. Raises: NotConfigured."""
        if channel not in self._senders:
            raise NotConfigured(f"no provider sends {channel}: give one its key in providers")

    def _row(self, intent: NewIntent) -> IntentRow:
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
        )

    def _token(self, row: IntentRow) -> NewUnsubscribeToken:
        return NewUnsubscribeToken(
            token=self._recipients.unsubscribe_token(row.id),
            intent_id=row.id,
            lead_id=row.lead_id,
            address_hash=row.address_hash,
            hint=mask_address(row.to_address),
        )


def make_reference(intent_id: UUID, channel: Channel, sender_address: str) -> str:
    """Return the lasting name of a send: the Message-ID of an e-mail, a plain word elsewhere."""
    if channel is not Channel.EMAIL:
        return f"lf-{intent_id.hex}"
    domain = normalize_domain(sender_address.rpartition("@")[2]) or "leadflood.invalid"
    return f"<lf-{intent_id.hex}@{domain}>"
