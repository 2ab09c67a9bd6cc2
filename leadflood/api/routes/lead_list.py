"""Lists of leads over HTTP, and what happened to one of them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.event_views import show_payload
from leadflood.api.http.pagination import Listed, Paging, make_page
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.services import Node
from leadflood.contracts.normalization import normalize_tag
from leadflood.contracts.values import Band
from leadflood.domain.leads.schemas import LeadStatus
from leadflood.domain.leads.service.leads import LeadService
from leadflood.domain.overview.schemas import (
    LeadEvent,
    LeadFilter,
    LeadPaging,
    LeadPlace,
    LeadSort,
    LeadSummary,
)
from leadflood.domain.overview.service import LeadListService, OverviewService
from leadflood.engine.errors import FieldProblem, Invalid, NotFound

Short = Annotated[str, msgspec.Meta(max_length=320)]
Points = Annotated[float, msgspec.Meta(ge=0, le=100)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
MOST_TAGS = 20


class LeadQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which leads, in which order (`-` is downwards); what is left out asks for nothing.

    Scores are in points (0 to 100), those for `icpId` or `runId` where one is given, else the
    newest. `owner` is a user's id, `me` or `none`. `tag` may be several with commas between: all
    of them. `q` finds words, or what begins with them, in names, titles, companies and addresses.
    """

    status: LeadStatus | None = None
    band: Band | None = None
    min_score: Points | None = None
    max_score: Points | None = None
    icp_id: UUID | None = None
    run_id: UUID | None = None
    owner: Short | None = None
    source: Short | None = None
    country: Short | None = None
    tag: Annotated[str, msgspec.Meta(max_length=1_000)] | None = None
    company_id: UUID | None = None
    company_domain: Short | None = None
    email: Short | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    sort: LeadSort = LeadSort.NEWEST


class LeadChoice(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which leads, all of them: the filters of `LeadQuery`."""

    status: LeadStatus | None = None
    band: Band | None = None
    min_score: Points | None = None
    max_score: Points | None = None
    icp_id: UUID | None = None
    run_id: UUID | None = None
    owner: Short | None = None
    source: Short | None = None
    country: Short | None = None
    tag: Annotated[str, msgspec.Meta(max_length=1_000)] | None = None
    company_id: UUID | None = None
    company_domain: Short | None = None
    email: Short | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] | None = None


def read_choice(choice: LeadQuery | LeadChoice, caller: Caller) -> LeadFilter:
    """Say what was asked for as it is kept, and who may see it. Raises: Invalid."""
    owner, is_unowned = _read_owner(choice.owner, caller)
    seen_by = caller.principal.sees_owner
    return LeadFilter(
        status=choice.status,
        band=choice.band,
        min_milli=_milli(choice.min_score),
        max_milli=_milli(choice.max_score),
        icp_id=choice.icp_id,
        run_id=choice.run_id,
        source=choice.source,
        owner=owner,
        is_unowned=is_unowned,
        seen_by=None if seen_by is None else str(seen_by),
        country=None if choice.country is None else choice.country.strip().upper(),
        tags=_read_tags(choice.tag),
        company_id=choice.company_id,
        company_domain=(
            None if choice.company_domain is None else choice.company_domain.strip().lower()
        ),
        email=None if choice.email is None else choice.email.strip().lower(),
        created_after=choice.created_after,
        created_before=choice.created_before,
        q=choice.q,
    )


def _read_owner(owner: str | None, caller: Caller) -> tuple[str | None, bool]:
    if owner == "none":
        return None, True
    if owner != "me":
        return owner, False
    if caller.principal.user_id is None:
        told = "me is for users: name the owner's id, or none"
        raise Invalid(f"owner: {told}", (FieldProblem("owner", told),), code="leads.owner.nobody")
    return str(caller.principal.user_id), False


def _read_tags(tag: str | None) -> tuple[str, ...]:
    told = [one for one in (tag or "").split(",") if one.strip()]
    tags = tuple(dict.fromkeys(normalize_tag(one) for one in told))
    if len(tags) > MOST_TAGS:
        most = f"name at most {MOST_TAGS} tags"
        raise Invalid(f"tag: {most}", (FieldProblem("tag", most),), code="leads.tag.many")
    return tags


def _milli(points: float | None) -> int | None:
    return None if points is None else round(points * 1000)


class LeadLists:
    """The routes that list leads and what happened to them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._kept: LeadListService | None = None

    @property
    def _leads(self) -> LeadService:
        return self._node.services.leads

    @property
    def _overview(self) -> OverviewService:
        return OverviewService(self._node.services.db)

    @property
    def _lists(self) -> LeadListService:
        if self._kept is None:
            self._kept = LeadListService(self._node.services.db)
        return self._kept

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/v1/leads", handler=self.list, permission="leads:read",
                errors=(Invalid,),
            ),
            Route(
                method="GET", path="/v1/leads/{leadId}/timeline", handler=self.timeline,
                permission="leads:read", errors=(NotFound,),
            ),
        )  # fmt: skip

    async def list(self, query: LeadQuery, caller: Caller) -> Listed[LeadSummary]:
        """List leads with their newest score, in the order asked for; merged ones are left out."""
        paging = LeadPaging(
            sort=query.sort,
            after=query.position_in(query.sort.value, LeadPlace),
            offset=query.offset,
            limit=query.limit + 1,
        )
        found, total = await self._lists.list_page(read_choice(query, caller), paging)
        page = make_page(found, query, lambda one: one.place, total, sort=query.sort.value)
        return Listed(data=[one.lead for one in page.data], pagination=page.pagination)

    async def timeline(self, lead_id: UUID, query: Paging, caller: Caller) -> Listed[LeadEvent]:
        """Show what happened to a lead, newest first."""
        view = await self._leads.get(self._node.services.db, lead_id)
        seen_by = caller.principal.sees_owner
        if seen_by is not None and view.owner != str(seen_by):
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        found = await self._overview.list_lead_events(view.id, query.position(), query.fetch_limit)
        shown = [
            msgspec.structs.replace(event, payload=show_payload(event.payload))
            for event in query.skip(found)
        ]
        return make_page(shown, query, lambda event: event.id)
