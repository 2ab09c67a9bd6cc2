"""Dead letters: replay them and bury jobs, with what that means for leads and for sends."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.sending.service.unknown_sends import UnknownSends
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids
from leadflood.engine.queue import dead_letters
from leadflood.engine.queue.dead_letters import DeadLetter, Replayed

BURIED = "engine.buried"
_MESSAGE_STAGES = "message."


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
        """Queue the work of dead letters again; a send that may have arrived is `doubtful`."""
        doubtful = await self._unknown_sends.find_doubtful(tx, letter_ids)
        return await dead_letters.replay(tx, letter_ids, self._ids, self._clock.now(), doubtful)

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
