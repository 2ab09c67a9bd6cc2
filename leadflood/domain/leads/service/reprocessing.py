"""Doing more for one lead: enriching it again, or scoring it anew; each is a run of its own."""

from uuid import UUID

import msgspec

from leadflood.contracts.values import SendsPolicy
from leadflood.domain.auth.schemas import Editor
from leadflood.domain.leads.schemas import EnrichmentWanted, LeadEvent, RescoreWanted
from leadflood.domain.leads.service.creation import Caps
from leadflood.domain.leads.service.locking import lock_lead
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun


class EnrichmentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What may be done to know more of a lead.

    - `icp_id`: the ICP version to score for afterwards.
    - `sends`, `providers`, `cap_micros`: what the run may do; None: all, and the default cap.
    - `is_forced`: what is known is asked for again.
    """

    icp_id: UUID
    sends: SendsPolicy
    providers: tuple[str, ...] | None
    cap_micros: int | None
    is_forced: bool


class StartedRun(msgspec.Struct, frozen=True):
    """An open run, with the event that starts its work."""

    run_id: UUID
    event: LeadEvent


class LeadReprocessing:
    """The use cases of doing more for a lead that is there."""

    def __init__(self, caps: Caps, ids: Ids, clock: Clock) -> None:
        self._caps = caps
        self._ids = ids
        self._clock = clock

    async def enrich(
        self, tx: Tx, lead_id: UUID, request: EnrichmentRequest, editor: Editor
    ) -> StartedRun:
        """Open a run that asks the providers for what is missing of a lead, then scores it.

        Raises: NotFound, PreconditionFailed.
        """
        lead = await lock_lead(tx, lead_id, editor)
        cap = request.cap_micros
        run = NewRun(
            id=self._ids.new(),
            kind="lead",
            title="one lead enriched by the API",
            sends=request.sends.value,
            providers=request.providers,
            cap_micros=self._caps.run_micros if cap is None else cap,
            lead_cap_micros=self._caps.lead_micros,
        )
        event = EnrichmentWanted(lead.id, request.icp_id, request.is_forced)
        return StartedRun(await self._open_run(tx, run), event)

    async def score(self, tx: Tx, lead_id: UUID, icp_id: UUID, editor: Editor) -> StartedRun:
        """Open a run that scores a lead by what is known of it; nothing is asked outside.

        Raises: NotFound, PreconditionFailed.
        """
        lead = await lock_lead(tx, lead_id, editor)
        run = NewRun(
            id=self._ids.new(),
            kind="lead",
            title="one lead scored by the API",
            sends="never",
            providers=(),
            cap_micros=0,
        )
        return StartedRun(await self._open_run(tx, run), RescoreWanted(lead.id, icp_id))

    async def _open_run(self, tx: Tx, run: NewRun) -> UUID:
        return await runs.create(tx, run, self._clock.now())
