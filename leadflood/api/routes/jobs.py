"""Jobs over HTTP: one, or those that fit."""

from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Pagination, Selection, read_cursor, write_cursor
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.services import Node
from leadflood.domain.leads.service import LeadService
from leadflood.engine.errors import NotFound
from leadflood.engine.queue import jobs
from leadflood.engine.queue.jobs import JobFilter, JobState, JobView


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


class Jobs:
    """The routes of jobs."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/v1/jobs", handler=self.list, permission="jobs:read",
                errors=(NotFound,),
            ),
            Route(
                method="GET", path="/v1/jobs/{jobId}", handler=self.get, permission="jobs:read",
                errors=(NotFound,),
            ),
        )  # fmt: skip

    async def list(self, query: JobQuery, caller: Caller) -> Listed[JobView]:
        """List jobs, newest first: live ones, settled ones as long as they are kept, dead ones.

        A page may hold fewer than `limit`, even none, where few of very many jobs fit: as long as
        there is a `nextCursor` there may be more.
        """
        if query.lead_id is not None:
            await self._require_visible(query.lead_id, caller)
        wanted = JobFilter(
            run_id=query.run_id, stage=query.stage, state=query.state, subject=query.lead_id,
            stages=tuple(self._node.services.engine.channels),
        )  # fmt: skip
        before = read_cursor(query.cursor) if query.cursor else None
        page = await jobs.list_page(self._node.services.db, wanted, before, query.limit)
        place = page.next_place
        return Listed(
            data=page.jobs,
            pagination=Pagination(
                limit=query.limit,
                next_cursor=None if place is None else write_cursor(place),
                page=None if query.cursor else 1,
            ),
        )

    async def _require_visible(self, lead_id: UUID, caller: Caller) -> None:
        sees = caller.principal.sees_owner
        if sees is None:
            return
        services = self._node.services
        lead = await LeadService(services.ids, services.clock).get(services.db, lead_id)
        if lead.owner != str(sees):
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")

    async def get(self, job_id: UUID) -> JobView:
        """Show a job: queued, running, completed, failed or cancelled."""
        return await jobs.get(self._node.services.db, job_id)
