"""Jobs: one, or those that fit a filter, as far as the caller sees whom they are about."""

from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Principal, Visibility
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import NotFound
from leadflood.engine.queue import job_queries, runs
from leadflood.engine.queue.job_queries import JobFilter, JobPage, JobView


class JobService:
    """Reads jobs: queued, running, completed, failed or cancelled."""

    def __init__(self, db: Reader, owners: LeadOwnership) -> None:
        self._db = db
        self._owners = owners

    async def get(self, job_id: UUID, principal: Principal) -> JobView:
        """Return a job: of a run that the principal may see whole, or about a lead of theirs.

        Raises: NotFound; settled ones are stored for some days.
        """
        job = await job_queries.get(self._db, job_id)
        runs_by_id = await runs.find(self._db, [job.run_id]) if job.run_id else {}
        for run in runs_by_id.values():
            is_seen = principal.visibility.allows_change_of_run(run) or (
                run.is_shared and await self._is_about_own_lead(job_id, principal.visibility)
            )
            if not is_seen:
                raise NotFound(f"there is no job {job_id}", code="jobs.not_found")
        return job

    async def _is_about_own_lead(self, job_id: UUID, visibility: Visibility) -> bool:
        lead_id = await job_queries.find_subject(self._db, job_id)
        owners = await self._owners.find_owners([] if lead_id is None else [lead_id])
        return any(visibility.allows(owner) for owner in owners.values())

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
        job_filter = msgspec.structs.replace(job_filter, owner=visibility.owner)
        return await job_queries.list_page(self._db, job_filter, before, limit)
