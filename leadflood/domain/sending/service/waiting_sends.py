"""Waiting sends: ready messages without a job, until a setting is made or a cap is raised."""

from uuid import UUID

from leadflood.contracts.values import Channel
from leadflood.domain.sending import repository
from leadflood.domain.sending.repository import CancelledSend
from leadflood.domain.sending.rules.conditions import RUN_CANCELLED, TOO_LATE
from leadflood.domain.sending.schemas import MessageApproved, WaitingSend
from leadflood.domain.sending.service.outbox import Outbox
from leadflood.domain.sending.service.unknown_sends import EventPublisher
from leadflood.engine.clock import Clock
from leadflood.engine.queue.publisher import PublishingTransaction

MOST_AT_ONCE = 1_000


class WaitingSends:
    """Brings waiting messages back to work once what they wait for is there.

    They have no job meanwhile, so their run ends; it goes on as soon as they do.
    """

    def __init__(self, publisher: EventPublisher, outbox: Outbox, clock: Clock) -> None:
        self._publisher = publisher
        self._outbox = outbox
        self._clock = clock

    async def resume(self) -> int:
        """Bring back all that can go, as this process is set up; return how many."""
        count = 0
        while True:
            async with self._publisher.transaction() as publication:
                resumed_count, ended_count = await self._resume(publication)
            count += resumed_count
            if resumed_count + ended_count < MOST_AT_ONCE:
                return count

    async def resume_run(self, publication: PublishingTransaction, run_id: UUID) -> int:
        """Bring back what can go of one run, at most 1,000 messages; `resume` brings the others."""
        resumed_count, _ = await self._resume(publication, run_id)
        return resumed_count

    async def _resume(
        self, publication: PublishingTransaction, run_id: UUID | None = None
    ) -> tuple[int, int]:
        """Return how many go on, and how many do not go at all: those are cancelled."""
        tx, now = publication.tx, self._clock.now()
        channels = [channel for channel in Channel if not self._outbox.missing_settings(channel)]
        sends = await repository.lock_waiting(tx, channels, now, MOST_AT_ONCE, run_id)
        ended = [end for send in sends if (end := _end_of(send)) is not None]
        await repository.cancel_intents(tx, ended, now)
        ended_ids = {end.intent_id for end in ended}
        resumed = [send for send in sends if send.id not in ended_ids]
        await repository.end_waiting(tx, [send.id for send in resumed])
        for send in resumed:
            approved = MessageApproved(send.lead_id, send.message_id, send.id)
            await publication.publish([approved], run_id=send.run_id)
        return len(resumed), len(ended)


def _end_of(send: WaitingSend) -> CancelledSend | None:
    """Return why a message does not go at all; its end is published when its job is gone."""
    if send.run_cancelled:
        return CancelledSend(send.id, RUN_CANCELLED.code, RUN_CANCELLED.reason)
    if send.is_too_late:
        return CancelledSend(send.id, TOO_LATE.code, TOO_LATE.reason)
    return None
