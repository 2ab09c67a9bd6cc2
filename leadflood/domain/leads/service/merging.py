"""Merging two leads by a person's word, and undoing a merge."""

from uuid import UUID

from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.repository import leads
from leadflood.domain.leads.repository.identity_keys import lock_survivors
from leadflood.domain.leads.repository.lead_rows import lock_states, raise_versions
from leadflood.domain.leads.repository.leads import Merge
from leadflood.domain.leads.repository.list_columns import refresh
from leadflood.domain.leads.schemas.events import LeadMerged, LeadUnmerged
from leadflood.domain.leads.service.locking import (
    lock_lead,
    lock_pair,
    require_version,
    require_visible,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, NotFound
from leadflood.engine.ids import Ids

REASON = "a person said so"


class LeadMerging:
    """The use cases of merging leads; each returns the event to publish."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def merge(self, tx: Tx, lead_id: UUID, into_id: UUID, editor: Editor) -> LeadMerged:
        """Merge two leads that are one person: the younger into the older.

        Raises: NotFound, PreconditionFailed; Conflict when they are one already.
        """
        pair = await lock_pair(tx, lead_id, into_id)
        for lead, requested_id in zip(pair, (lead_id, into_id), strict=True):
            require_visible(lead, requested_id, editor)
        if pair[0].id == pair[1].id:
            raise Conflict(
                f"leads {lead_id} and {into_id} are one already", code="leads.merge.same"
            )
        require_version(pair[0], editor)
        older, younger = sorted(pair, key=lambda lead: lead.id.int)
        now = self._clock.now()
        await leads.merge_leads(tx, [Merge(younger.id, older.id, REASON)], editor.by, now)
        await raise_versions(tx, [older.id], now)
        await refresh(tx, [older.id])
        return LeadMerged(younger.id, younger.version + 1, older.id)

    async def unmerge(self, tx: Tx, lead_id: UUID, editor: Editor) -> LeadUnmerged:
        """Undo a merge; the two are never merged by themselves again.

        Raises: NotFound when it is not merged.
        """
        survivor, now = await lock_lead(tx, lead_id, editor), self._clock.now()
        survivor_of = await lock_survivors(tx, [lead_id])
        if not await leads.unmerge_lead(tx, lead_id, now):
            raise NotFound(
                f"lead {lead_id} is not merged into another; look at GET /v1/leads/{lead_id}",
                code="leads.merge.not_found",
            )
        await leads.record_unmerge(tx, self._ids.new(), lead_id, editor.by, now)
        await raise_versions(tx, [survivor.id], now)
        await refresh(tx, [survivor.id, lead_id, survivor_of[lead_id]])
        states = await lock_states(tx, [lead_id])
        return LeadUnmerged(lead_id, states[lead_id].version, survivor.id)
