"""Reports on runs: their progress, their cost, and the funnel of their leads."""

from collections.abc import Sequence
from uuid import UUID

from leadflood.domain.runs import repository
from leadflood.domain.runs.rules import cap_used_micros, progress_ratio
from leadflood.domain.runs.schemas import Funnel, LeadCost, RunReport, RunWait
from leadflood.engine.db.tx import Reader
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import Run


class RunReports:
    """Results of runs, read across all slices."""

    def __init__(self, db: Reader) -> None:
        self._db = db

    async def report(self, run: Run) -> RunReport:
        """Return how far a run is."""
        funnel = await self.count_funnel(run.id)
        return RunReport(
            run=run,
            funnel=funnel,
            progress_ratio=progress_ratio(funnel, is_running=run.state == "running"),
            live_jobs=await runs.count_live(self._db, run.id),
            cap_used_micros=cap_used_micros(funnel),
            waits=await self.list_waits(run.id),
        )

    async def count_funnel(self, run_id: UUID) -> Funnel:
        """Count how many leads of a run got how far."""
        return await repository.count_funnel(self._db, run_id)

    async def list_waits(self, run_id: UUID) -> tuple[RunWait, ...]:
        """List what a run waits for, the most work first."""
        return await repository.list_waits(self._db, run_id)

    async def list_lead_costs(self, run_id: UUID, lead_ids: Sequence[UUID]) -> dict[UUID, LeadCost]:
        """Return what was spent on these leads in a run."""
        return await repository.list_lead_costs(self._db, run_id, lead_ids)

    async def list_lead_codes(self, run_id: UUID, lead_ids: Sequence[UUID]) -> dict[UUID, str]:
        """Return why the enrichment of these leads ended as it did, where there is a code."""
        return await repository.list_lead_codes(self._db, run_id, lead_ids)

    async def list_accepted_references(self, run_id: UUID) -> list[str]:
        """List the references of a run's messages that the other side took."""
        return await repository.list_accepted_references(self._db, run_id)
