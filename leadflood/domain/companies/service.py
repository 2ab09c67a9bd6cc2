"""Companies: list, look at, bring in, correct, delete."""

from uuid import UUID

import msgspec
from msgspec import UNSET

from leadflood.contracts.normalization.domains import company_domain
from leadflood.domain.auth.schemas.principals import Editor, Visibility
from leadflood.domain.companies import repository
from leadflood.domain.companies.repository import CompanyRow, LockedCompany
from leadflood.domain.companies.rules import read_edits, read_filter
from leadflood.domain.companies.schemas import (
    CompanyFilter,
    CompanySummary,
    CompanyTotal,
    CompanyView,
    CompanyWindow,
    CompanyWords,
    NewCompany,
)
from leadflood.domain.leads.service.company_values import (
    CompanyValues,
    company_id_of,
    delete_company_values,
    find_company_values,
    record_company_edits,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound, PreconditionFailed
from leadflood.engine.ids import Ids

MOST_LEADS = 20
MOST_COUNTED = 10_000


class CompanyService:
    """The use cases of companies; a person's word wins over any provider."""

    def __init__(self, ids: Ids, clock: Clock, currency: str) -> None:
        self._currency = currency
        self._ids = ids
        self._clock = clock

    async def list(
        self,
        db: Reader,
        companies: CompanyFilter,
        visibility: Visibility,
        window: CompanyWindow,
    ) -> list[CompanySummary]:
        """List companies by domain.

        Who sees only their own leads sees where these work, and the companies they brought in.
        """
        stored = read_filter(companies)
        if stored is None:
            return []
        rows = await repository.list_companies(
            db, stored, visibility, window.after, window.limit, window.offset
        )
        values = await find_company_values(db, [row.id for row in rows])
        return [
            CompanySummary(
                **msgspec.structs.asdict(row), values=values.get(row.id, CompanyValues()).values
            )
            for row in rows
        ]

    async def count(
        self, db: Reader, companies: CompanyFilter, visibility: Visibility
    ) -> CompanyTotal:
        """Count the companies that fit and may be seen."""
        stored = read_filter(companies)
        if stored is None:
            return CompanyTotal(0, is_estimate=False)
        bound = MOST_COUNTED + 1
        count = await repository.count_companies(db, stored, visibility, bound)
        if count < bound:
            return CompanyTotal(count, is_estimate=False)
        estimate = 0 if visibility.is_limited else await repository.estimate_companies(db)
        return CompanyTotal(max(count, estimate), is_estimate=True)

    async def get(self, db: Reader, company_id: UUID, visibility: Visibility) -> CompanyView:
        """Return all that is known of a company; of its leads the visible. Raises: NotFound."""
        row = await repository.find_company(db, company_id, visibility)
        if row is None:
            raise _not_found(company_id)
        values_of = await find_company_values(db, [company_id])
        company_values = values_of.get(company_id, CompanyValues())
        return CompanyView(
            **msgspec.structs.asdict(row),
            values=company_values.values,
            provenance=company_values.history,
            lead_count=await repository.count_leads(db, company_id, visibility, MOST_COUNTED),
            leads=tuple(await repository.list_leads(db, company_id, visibility, MOST_LEADS)),
        )

    async def create(self, tx: Tx, new: NewCompany, editor: Editor) -> CompanyView:
        """Bring a company in. Raises: Invalid; Conflict when its domain is there already."""
        domain = company_domain(new.domain)
        if domain is None:
            problem = (
                "give the domain a company has registered (example.com), not a mail or shared host"
            )
            raise Invalid.field("domain", problem, code="leads.company.invalid")
        edits = read_edits(new, self._currency)
        company_id, now = company_id_of(domain), self._clock.now()
        name = new.name if isinstance(new.name, str) else None
        row = CompanyRow(
            id=company_id, version=1, domain=domain, name=name, created_at=now, updated_at=now
        )
        company = LockedCompany(row, editor.visibility.owner)
        if not await repository.add_company(tx, company, now):
            raise Conflict(
                f"the company {domain} is there already: look at GET /v1/companies/{company_id}"
                " (it is shown to who has a lead there)",
                code="leads.company.exists",
            )
        await record_company_edits(tx, company_id, edits, editor.by, self._ids, now)
        return await self.get(tx, company_id, editor.visibility)

    async def change(
        self, tx: Tx, company_id: UUID, words: CompanyWords, editor: Editor
    ) -> CompanyView:
        """Write what a person says. Raises: NotFound, Denied, Invalid, PreconditionFailed."""
        edits = read_edits(words, self._currency)
        company = await self._lock(tx, company_id, editor)
        if not editor.visibility.allows(company.owner):
            raise Denied(
                "leads of others may work there: who sees only their own changes no company but"
                " those they brought in",
                code="leads.company.denied",
            )
        now = self._clock.now()
        if edits or words.name is not UNSET:
            name = company.row.name if words.name is UNSET else words.name
            await repository.update_company(tx, company_id, name, now)
            await record_company_edits(tx, company_id, edits, editor.by, self._ids, now)
        return await self.get(tx, company_id, editor.visibility)

    async def delete(self, tx: Tx, company_id: UUID, editor: Editor) -> str:
        """Delete a company nobody works at; return its domain.

        Raises: NotFound, PreconditionFailed; Conflict while leads, also merged or deleted ones,
        point to it.
        """
        company = await self._lock(tx, company_id, editor)
        if await repository.has_leads(tx, company_id):
            raise Conflict(
                "leads work at this company, perhaps merged or deleted ones: it stays",
                code="leads.company.in_use",
            )
        await delete_company_values(tx, company_id)
        await repository.delete_company(tx, company_id)
        return company.row.domain

    async def _lock(self, tx: Tx, company_id: UUID, editor: Editor) -> LockedCompany:
        company = await repository.lock_company(tx, company_id, editor.visibility)
        if company is None:
            raise _not_found(company_id)
        if editor.if_match not in {None, company.row.version}:
            raise PreconditionFailed(
                f"the company has changed since: it is version {company.row.version} now",
                code="leads.company.version_conflict",
            )
        return company


def _not_found(company_id: UUID) -> NotFound:
    return NotFound(f"there is no company {company_id}", code="leads.company.not_found")
