"""Companies over HTTP: list, look at, bring in, correct, delete."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, make_page
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.routes.lead_actions import editor_of
from leadflood.api.services import Node
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.leads.company_schemas import (
    CompanyFilter,
    CompanySummary,
    CompanyView,
    CompanyWords,
    NewCompany,
)
from leadflood.domain.leads.company_service import CompanyService
from leadflood.engine.errors import Conflict, Invalid, NotFound, PreconditionFailed

Short = Annotated[str, msgspec.Meta(max_length=320)]
Domain = Annotated[str, msgspec.Meta(max_length=320, pattern=r"^[^\x00]*$")]
BY_DOMAIN = "domain"


class CompanyQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which companies; `q` finds words, or what begins with them, in names and domains."""

    domain: Short | None = None
    country: Short | None = None
    industry: Short | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class Companies:
    """The routes of companies."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _use(self) -> CompanyService:
        return CompanyService(self._node.services.ids, self._node.services.clock)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/v1/companies", handler=self.list, permission="leads:read",
            ),
            Route(
                method="POST", path="/v1/companies", handler=self.create,
                permission="leads:write", status=HTTPStatus.CREATED, errors=(Invalid, Conflict),
                shows_more=True,
            ),
            Route(
                method="GET", path="/v1/companies/{companyId}", handler=self.get,
                permission="leads:read", errors=(NotFound,), shows_more=True,
            ),
            Route(
                method="PATCH", path="/v1/companies/{companyId}", handler=self.change,
                permission="leads:write", errors=(Invalid, NotFound, PreconditionFailed),
                takes_if_match=True, shows_more=True,
            ),
            Route(
                method="DELETE", path="/v1/companies/{companyId}", handler=self.delete,
                permission="leads:delete", status=HTTPStatus.NO_CONTENT,
                errors=(NotFound, Conflict, PreconditionFailed), takes_if_match=True,
            ),
        )  # fmt: skip

    async def list(self, query: CompanyQuery) -> Listed[CompanySummary]:
        """List companies by domain, each with the values that win."""
        wanted = CompanyFilter(
            domain=None if query.domain is None else query.domain.strip().lower(),
            country=query.country,
            industry=query.industry,
            q=query.q,
        )
        after: str | None = query.position_in(BY_DOMAIN, Domain)
        found = await self._use.list(
            self._node.services.db, wanted, after, query.limit + 1, query.offset
        )
        total = await self._use.count(self._node.services.db, wanted)
        return make_page(found, query, lambda one: one.domain, total, sort=BY_DOMAIN)

    async def get(self, company_id: UUID, caller: Caller) -> CompanyView:
        """Show a company: values, provenance, how many leads work there and the first of them."""
        mine = caller.principal.sees_owner
        return await self._use.get(
            self._node.services.db, company_id, None if mine is None else str(mine)
        )

    async def create(self, body: NewCompany, caller: Caller) -> CompanyView:
        """Bring a company in; what is said of it wins over any provider."""

        async def do(uow: UnitOfWork) -> CompanyView:
            made = await self._use.create(uow.tx, body, editor_of(caller))
            await uow.record(_entry("company.created", made.id, made.domain))
            return made

        return await run_once(self._node.services, caller, CompanyView, do)

    async def change(self, company_id: UUID, body: CompanyWords, caller: Caller) -> CompanyView:
        """Say what is right; null says that there is no value."""

        async def do(uow: UnitOfWork) -> CompanyView:
            changed = await self._use.change(uow.tx, company_id, body, editor_of(caller))
            await uow.record(_entry("company.changed", changed.id, changed.domain))
            return changed

        return await run_once(self._node.services, caller, CompanyView, do)

    async def delete(self, company_id: UUID, caller: Caller) -> None:
        """Delete a company nobody works at."""

        async def do(uow: UnitOfWork) -> str:
            domain = await self._use.delete(uow.tx, company_id, editor_of(caller))
            await uow.record(_entry("company.deleted", company_id, domain))
            return domain

        await run_once(self._node.services, caller, str, do)


def _entry(action: str, company_id: UUID, domain: str) -> AuditEntry:
    return AuditEntry(
        action=action, subject_kind="company", subject_id=str(company_id),
        detail={"domain": domain},
    )  # fmt: skip
