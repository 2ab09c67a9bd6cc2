"""Jobs over HTTP: one, or those that fit."""

from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Pagination, Selection, read_cursor, write_cursor
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get
from leadflood.api.services import Services
from leadflood.domain.auth.schemas import Visibility
from leadflood.engine.errors import NotFound
from leadflood.engine.queue import job_queries
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
    there is a `nextCursor` there may be more.
    """
    if query.lead_id is not None:
        await _require_visible(services, query.lead_id, caller.visibility)
    job_filter = JobFilter(
        run_id=query.run_id,
        stage=query.stage,
        state=query.state,
        subject=query.lead_id,
        stages=tuple(services.engine.channels),
    )
    before = read_cursor(query.cursor) if query.cursor else None
    page = await job_queries.list_page(services.db, job_filter, before, query.limit)
    position = page.next_place
    pagination = Pagination(
        limit=query.limit,
        next_cursor=None if position is None else write_cursor(position),
        page=None if query.cursor else 1,
    )
    return Listed(data=page.jobs, pagination=pagination)


@get("/v1/jobs/{jobId}", permission="jobs:read", errors=(NotFound,))
async def get_job(job_id: UUID, services: Services) -> JobView:
    """Show a job: queued, running, completed, failed or cancelled."""
    return await job_queries.get(services.db, job_id)


async def _require_visible(services: Services, lead_id: UUID, visibility: Visibility) -> None:
    """Refuse to tell of work on a lead that the caller does not see. Raises: NotFound."""
    if not visibility.is_limited:
        return
    lead = await services.leads.get(services.db, lead_id)
    if not visibility.allows(lead.owner):
        raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
