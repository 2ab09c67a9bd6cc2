"""Lists of leads over HTTP, by filters and words, and what happened to one lead."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.event_views import show_payload
from leadflood.api.http.pagination import Limit, Listed, PageNumber, PageRequest, Paging, make_page
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get
from leadflood.api.services import Services
from leadflood.contracts.normalization.asked_values import require_country
from leadflood.contracts.normalization.domains import company_domain
from leadflood.contracts.normalization.emails import normalize_email
from leadflood.contracts.normalization.tags import normalize_tag
from leadflood.contracts.values import Band
from leadflood.domain.lead_views.schemas import (
    LeadFilter,
    LeadPaging,
    LeadPosition,
    LeadSort,
    LeadSummary,
    TimelineEvent,
)
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.engine.errors import Invalid, NotFound

Short = Annotated[str, msgspec.Meta(max_length=320)]
Points = Annotated[float, msgspec.Meta(ge=0, le=100)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
MAX_TAGS = 20


class LeadFilterQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which leads, all of them; what is left out asks for nothing.

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

    def filter_for(self, caller: Caller) -> LeadFilter:
        """Return the filter as it is stored, within what the caller may see. Raises: Invalid."""
        domain, email = self.company_domain, self.email
        return LeadFilter(
            status=self.status,
            band=self.band,
            min_milli=_milli(self.min_score),
            max_milli=_milli(self.max_score),
            icp_id=self.icp_id,
            run_id=self.run_id,
            source=self.source,
            owner=_read_owner(self.owner, caller),
            is_unowned=self.owner == "none",
            visibility=caller.visibility,
            country=None if self.country is None else require_country(self.country, "country"),
            tags=_read_tags(self.tag),
            company_id=self.company_id,
            company_domain=None
            if domain is None
            else company_domain(domain) or domain.strip().lower(),
            email=None if email is None else normalize_email(email) or email.strip().lower(),
            created_after=self.created_after,
            created_before=self.created_before,
            q=self.q,
        )


class LeadListQuery(
    LeadFilterQuery,
    PageRequest,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
):
    """Which leads, in which order (`-` is downwards); what is left out asks for nothing.

    Scores are in points (0 to 100), those for `icpId` or `runId` where one is given, else the
    newest. `owner` is a user's id, `me` or `none`. `tag` may be several with commas between: all
    of them. `q` finds words, or what begins with them, in names, titles, companies and addresses.
    """

    sort: LeadSort = LeadSort.NEWEST
    fields: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    limit: Limit = 50
    cursor: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    page: PageNumber | None = None


@get("/v1/leads", permission="leads:read", errors=(Invalid,))
async def list_leads(
    query: LeadListQuery, caller: Caller, services: Services
) -> Listed[LeadSummary]:
    """List leads with their newest score, in the order asked for; merged ones are left out."""
    sort = query.sort.value
    paging = LeadPaging(
        sort=query.sort,
        after=query.position_in(sort, LeadPosition),
        offset=query.offset,
        limit=query.limit + 1,
    )
    leads, total = await services.lead_lists.list_page(query.filter_for(caller), paging)
    page = make_page(leads, query, lambda listed: listed.position, total, sort=sort)
    return Listed(data=[listed.lead for listed in page.data], pagination=page.pagination)


@get("/v1/leads/{leadId}/timeline", permission="leads:read", errors=(NotFound,))
async def list_lead_events(
    lead_id: UUID, query: Paging, caller: Caller, services: Services
) -> Listed[TimelineEvent]:
    """Show what happened to a lead, newest first."""
    events = await services.lead_pages.list_events(
        lead_id, caller.visibility, query.position(), query.fetch_limit
    )
    views = [
        msgspec.structs.replace(event, payload=show_payload(event.payload))
        for event in query.skip(events)
    ]
    return make_page(views, query)


def _read_owner(owner: str | None, caller: Caller) -> str | None:
    if owner == "none":
        return None
    if owner != "me":
        return owner
    if caller.principal.user_id is None:
        raise Invalid.field(
            "owner", "me is for users: name the owner's id, or none", code="leads.owner.nobody"
        )
    return str(caller.principal.user_id)


def _read_tags(text: str | None) -> tuple[str, ...]:
    parts = [part for part in (text or "").split(",") if part.strip()]
    tags = tuple(dict.fromkeys(normalize_tag(part) for part in parts))
    if len(tags) > MAX_TAGS:
        raise Invalid.field("tag", f"name at most {MAX_TAGS} tags", code="leads.tag.too_many")
    return tags


def _milli(points: float | None) -> int | None:
    return None if points is None else round(points * 1000)
