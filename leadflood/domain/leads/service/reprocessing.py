"""Doing more for one lead: enriching it again, or scoring it anew; each is a run of its own.

A corrected lead is scored anew by itself: what is shown is the score of what is known.
"""

from uuid import UUID

import msgspec

from leadflood.contracts.values import SendsPolicy
from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.repository.lead_rows import find_score_icp
from leadflood.domain.leads.schemas.events import EnrichmentWanted, LeadEvent, RescoreWanted
from leadflood.domain.leads.service.locking import lock_lead
from leadflood.domain.runs.schemas import NO_SPENDING, RunLimits, RunOpener
from leadflood.domain.runs.service.runs import RunService
from leadflood.engine.db.tx import Tx


class EnrichmentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a lead's reprocessing.

    - `icp_id`: the ICP version to score for afterwards.
    - `sends`, `providers`, `cap_micros`: what the run may do; None: all, and the default cap.
    - `is_forced`: what is known is asked for again.
    - `repeats`: another first message may be drafted to somebody who got one.
    - `opener`: whose run it is.
    """

    icp_id: UUID
    sends: SendsPolicy
    providers: tuple[str, ...] | None
    cap_micros: int | None
    is_forced: bool
    repeats: bool = False
    opener: RunOpener = RunOpener()


class ScoringRequest(msgspec.Struct, frozen=True, kw_only=True):
    """For which ICP version a lead is scored, and whose run it is.

    - `repeats`: another first message is drafted to somebody who got one, and waits for approval.
    """

    icp_id: UUID
    repeats: bool
    opener: RunOpener


class StartedRun(msgspec.Struct, frozen=True):
    """An open run, with the event that starts its work."""

    run_id: UUID
    event: LeadEvent


class LeadReprocessing:
    """The use cases of doing more for a lead that is there."""

    def __init__(self, runs: RunService) -> None:
        self._runs = runs

    async def enrich(
        self, tx: Tx, lead_id: UUID, request: EnrichmentRequest, editor: Editor
    ) -> StartedRun:
        """Open a run that asks the providers for what is missing of a lead, then scores it.

        Raises: NotFound, PreconditionFailed.
        """
        lead = await lock_lead(tx, lead_id, editor)
        limits = RunLimits(
            sends=request.sends,
            providers=request.providers,
            cap_micros=request.cap_micros,
            opener=request.opener,
            repeats=request.repeats,
        )
        run_id = await self._runs.open_run(tx, "lead", limits, title="one lead enriched by the API")
        return StartedRun(run_id, EnrichmentWanted(lead.id, request.icp_id, request.is_forced))

    async def score(
        self, tx: Tx, lead_id: UUID, request: ScoringRequest, editor: Editor
    ) -> StartedRun:
        """Open a run that scores a lead by what is known of it; nothing is asked outside.

        Raises: NotFound, PreconditionFailed.
        """
        lead = await lock_lead(tx, lead_id, editor)
        limits = msgspec.structs.replace(
            NO_SPENDING,
            sends=SendsPolicy.HOLD if request.repeats else SendsPolicy.NEVER,
            opener=request.opener,
            repeats=request.repeats,
        )
        run_id = await self._runs.open_run(tx, "lead", limits, title="one lead scored by the API")
        return StartedRun(run_id, RescoreWanted(lead.id, request.icp_id))

    async def score_corrected(self, tx: Tx, lead_id: UUID, opener: RunOpener) -> StartedRun | None:
        """Open a run that scores a corrected lead for the ICP of its score; no draft comes of it.

        A score on its way may be of what was known before, so it is made anew too. None: nobody
        wants one, or the disk has no room for runs; it is corrected even then.
        """
        icp_id = await find_score_icp(tx, lead_id)
        if icp_id is None or not self._runs.has_room:
            return None
        limits = msgspec.structs.replace(NO_SPENDING, opener=opener)
        run_id = await self._runs.open_run(tx, "lead", limits, title="one corrected lead scored")
        return StartedRun(run_id, RescoreWanted(lead_id, icp_id, may_draft=False))
