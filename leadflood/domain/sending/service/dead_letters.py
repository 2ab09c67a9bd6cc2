"""Dead letters: replay them and bury jobs, with what that means for leads and for sends."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.sending.service.unknown_sends import SEND_STAGE, UnknownSends
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids
from leadflood.engine.queue import dead_letters
from leadflood.engine.queue.dead_letters import DeadLetter, Ending, Replayed

BURIED = "engine.buried"
_MESSAGE_STAGES = "message."
_STATUS_BEFORE = {
    "enrichment.run": LeadStatus.PROCESSING,
    "features.compute": LeadStatus.ENRICHED,
    "scoring.compute": LeadStatus.ENRICHED,
}
"""How a lead stood when a stage began with it."""


class _LeadTask(msgspec.Struct, frozen=True):
    """The part of a payload that names its lead, whatever wrote it."""

    lead_id: UUID | None = None


class DeadLetterService:
    """What operators do about jobs that failed for good, or never end."""

    def __init__(self, unknown_sends: UnknownSends, ids: Ids, clock: Clock) -> None:
        self._unknown_sends = unknown_sends
        self._ids = ids
        self._clock = clock

    async def replay(self, tx: Tx, letter_ids: Sequence[UUID]) -> list[Replayed]:
        """Queue the work of dead letters again; a send that may have arrived is `doubtful`.

        What failed with them is open again: the lead is no longer failed, the send is ready.
        """
        doubtful = await self._unknown_sends.find_doubtful(tx, letter_ids)
        payloads = await dead_letters.find_payloads(tx, letter_ids)
        replayed = await dead_letters.replay(tx, letter_ids, self._ids, self._clock.now(), doubtful)
        queued = [letter for letter in replayed if letter.ending is Ending.QUEUED]
        for stage, status in _STATUS_BEFORE.items():
            lead_ids = [
                lead_id
                for letter in queued
                if letter.stage == stage and (lead_id := _lead_of(payloads[letter.id]))
            ]
            await leads.reopen_failed(tx, lead_ids, status, self._clock.now())
        sends = [payloads[letter.id] for letter in queued if letter.stage == SEND_STAGE]
        await self._unknown_sends.reopen_refused(tx, sends)
        return replayed

    async def bury(self, tx: Tx, job_id: UUID, by: str) -> DeadLetter:
        """Discard a waiting job and mark its lead as failed: no other code will.

        A message that is not written or sent leaves the lead as it is. Raises: NotFound.
        """
        now = self._clock.now()
        letter = await dead_letters.bury(tx, job_id, by, self._ids, now)
        lead_id = _lead_of(letter.payload)
        if lead_id is not None and not letter.stage.startswith(_MESSAGE_STAGES):
            await leads.set_status(tx, [lead_id], LeadStatus.FAILED, now, BURIED)
        return letter


def _lead_of(payload: str) -> UUID | None:
    try:
        return msgspec.json.decode(payload, type=_LeadTask).lead_id
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
