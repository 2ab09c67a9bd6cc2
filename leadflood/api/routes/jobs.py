"""Jobs over HTTP: one, or those that fit."""

from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Pagination, Selection, read_cursor, write_cursor
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get
from leadflood.api.services import Services
from leadflood.engine.errors import NotFound
from leadflood.engine.queue.job_queries import JobFilter, JobState, JobView


class JobQuery(Selection, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which jobs; null asks for nothing. `cursor` is the `nextCursor` of the page before.

    `leadId` finds what is still to do, at work or dead for a lead: of settled jobs it is not kept
    whom they were about.
    """

    run_id: UUID | None = None
    stage: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    state: JobState | None = None
    lead_id: UUID | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=200)] = ""


@get("/v1/jobs", permission="jobs:read", errors=(NotFound,))
async def list_jobs(query: JobQuery, caller: Caller, services: Services) -> Listed[JobView]:
    """List jobs, newest first: live ones, settled ones as long as they are kept, dead ones.

    A page may hold fewer than `limit`, even none, where few of very many jobs fit: as long as
    there is a `nextCursor` there may be more. Those who see only their own leads see the
    jobs of the runs that they opened, and with `leadId` those of searches about that lead too.
    """
    job_filter = JobFilter(
        run_id=query.run_id,
        stage=query.stage,
        state=query.state,
        subject=query.lead_id,
        stages=tuple(services.engine.channels),
    )
    before = read_cursor(query.cursor) if query.cursor else None
    page = await services.jobs.list_page(job_filter, caller.principal, before, query.limit)
    position = page.next_place
    pagination = Pagination(
        limit=query.limit,
        next_cursor=None if position is None else write_cursor(position),
        page=None if query.cursor else 1,
    )
    return Listed(data=page.jobs, pagination=pagination)


@get("/v1/jobs/{jobId}", permission="jobs:read", errors=(NotFound,))
async def get_job(job_id: UUID, caller: Caller, services: Services) -> JobView:
    """Show a job: queued, running, completed, failed or cancelled."""
    return await services.jobs.get(job_id, caller.principal)
