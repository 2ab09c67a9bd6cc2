"""Jobs: one, or those that fit a filter, as far as the caller sees whom they are about."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.runs import repository
from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import NotFound
from leadflood.engine.queue import job_queries
from leadflood.engine.queue.job_queries import JobFilter, JobPage, JobView


class JobService:
    """Reads jobs: queued, running, completed, failed or cancelled."""

    def __init__(self, db: Reader, owners: LeadOwnership) -> None:
        self._db = db
        self._owners = owners

    async def get(self, job_id: UUID, principal: Principal) -> JobView:
        """Return a job. Raises: NotFound; settled ones are stored for some days."""
        job = await job_queries.get(self._db, job_id)
        if await self._find_hidden([job], principal):
            raise NotFound(f"there is no job {job_id}", code="jobs.not_found")
        return job

    async def list_page(
        self, job_filter: JobFilter, principal: Principal, before: UUID | None, limit: int
    ) -> JobPage:
        """List jobs, newest first, behind a position; a page may hold fewer than `limit`.

        Those of runs that the principal may not see are left out. Raises: NotFound when they are
        about a lead that may not be seen.
        """
        lead_id, visibility = job_filter.subject, principal.visibility
        if lead_id is not None and visibility.is_limited:
            owners = await self._owners.find_owners([lead_id])
            if not visibility.allows(owners.get(lead_id)):
                raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        page = await job_queries.list_page(self._db, job_filter, before, limit)
        hidden = await self._find_hidden(page.jobs, principal)
        visible = tuple(job for job in page.jobs if job.run_id not in hidden)
        return msgspec.structs.replace(page, jobs=visible)

    async def _find_hidden(
        self, jobs: Sequence[JobView], principal: Principal
    ) -> frozenset[UUID | None]:
        run_ids = {job.run_id for job in jobs if job.run_id is not None}
        return await repository.find_hidden_runs(self._db, sorted(run_ids), principal)
