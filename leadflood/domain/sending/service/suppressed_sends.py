"""Suppressed sends: the way back for what a suppression has cancelled, once nothing stops it."""

from leadflood.domain.sending import repository
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.domain.sending.service.contact_history import ContactHistory
from leadflood.domain.sending.service.send_conditions import SendConditionReader
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.engine.clock import Clock
from leadflood.engine.queue.publisher import PublishingTransaction

MOST_AT_ONCE = 5_000


class SuppressedSends:
    """The use case of an administrator who lifts a line of the suppression list."""

    def __init__(self, key: AddressKey, clock: Clock) -> None:
        self._conditions = SendConditionReader(key, ContactHistory(again_after_days=0.0))
        self._clock = clock

    async def restore(self, publication: PublishingTransaction) -> int:
        """Make sends ready again that were cancelled as suppressed and that no line stops now.

        Those whose latest useful time is past stay cancelled. Returns how many there were, at most
        5,000 at once, the newest. Waits: for sends of the same people.
        """
        tx, now = publication.tx, self._clock.now()
        ids = await repository.list_suppressed(tx, now, MOST_AT_ONCE)
        conditions = await self._conditions.find(tx, ids, now)
        free = [send.id for send in conditions.values() if not send.suppressed]
        sends = await repository.restore_intents(tx, free)
        for send in sends:
            approved = MessageApproved(send.lead_id, send.message_id, send.id)
            await publication.publish([approved], run_id=send.run_id)
        return len(sends)
