"""Companies over HTTP: list, look at, bring in, correct, delete."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, make_page
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, patch, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.contracts.normalization.asked_values import require_country
from leadflood.domain.companies.schemas import (
    CompanyFilter,
    CompanySummary,
    CompanyView,
    CompanyWindow,
    CompanyWords,
    NewCompany,
)
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound, PreconditionFailed

COMPANY = "/v1/companies/{companyId}"
BY_DOMAIN = "domain"
Short = Annotated[str, msgspec.Meta(max_length=320)]
Domain = Annotated[str, msgspec.Meta(max_length=320, pattern=r"^[^\x00]*$")]


class CompanyQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which companies; `q` finds words, or what begins with them, in names and domains."""

    domain: Short | None = None
    country: Short | None = None
    industry: Short | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] | None = None


@get("/v1/companies", permission="leads:read")
async def list_companies(
    query: CompanyQuery, caller: Caller, services: Services
) -> Listed[CompanySummary]:
    """List companies by domain, each with the values that win."""
    companies = CompanyFilter(
        domain=None if query.domain is None else query.domain.strip().lower(),
        country=None if query.country is None else require_country(query.country, "country"),
        industry=query.industry,
        q=query.q,
    )
    window = CompanyWindow(
        after=query.position_in(BY_DOMAIN, Domain), limit=query.limit + 1, offset=query.offset
    )
    page = await services.companies.list(services.db, companies, caller.visibility, window)
    total = await services.companies.count(services.db, companies, caller.visibility)
    return make_page(page, query, lambda company: company.domain, total, sort=BY_DOMAIN)


@post(
    "/v1/companies",
    permission="leads:write",
    status=HTTPStatus.CREATED,
    errors=(Invalid, Conflict),
    shows_more=True,
)
async def create_company(
    body: NewCompany, caller: Caller, services: Services, uow: UnitOfWork
) -> CompanyView:
    """Create a company; its values win over any provider's."""
    company = await services.companies.create(uow.tx, body, caller.editor)
    await uow.audit("company.created", company.id, domain=company.domain)
    return company


@get(COMPANY, permission="leads:read", errors=(NotFound,), shows_more=True)
async def get_company(company_id: UUID, caller: Caller, services: Services) -> CompanyView:
    """Show a company: values, provenance, how many leads work there and the first of them."""
    return await services.companies.get(services.db, company_id, caller.visibility)


@patch(
    COMPANY,
    permission="leads:write",
    errors=(Invalid, NotFound, Denied, PreconditionFailed),
    takes_if_match=True,
    shows_more=True,
)
async def change_company(
    company_id: UUID, body: CompanyWords, caller: Caller, services: Services, uow: UnitOfWork
) -> CompanyView:
    """Correct a company; null says that there is no value."""
    company = await services.companies.change(uow.tx, company_id, body, caller.editor)
    await uow.audit("company.changed", company.id, domain=company.domain)
    return company


@delete(
    COMPANY,
    permission="leads:delete",
    status=HTTPStatus.NO_CONTENT,
    errors=(NotFound, Conflict, PreconditionFailed),
    takes_if_match=True,
)
async def delete_company(
    company_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> None:
    """Delete a company nobody works at."""
    domain = await services.companies.delete(uow.tx, company_id, caller.editor)
    await uow.audit("company.deleted", company_id, domain=domain)
