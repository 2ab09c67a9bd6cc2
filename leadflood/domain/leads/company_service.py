"""Use cases of companies: list, look at, bring in, correct, delete."""

from uuid import UUID

import msgspec
from msgspec import UNSET

from leadflood.contracts.values import FieldName
from leadflood.domain.leads import companies
from leadflood.domain.leads.canon import canonical, company_domain
from leadflood.domain.leads.company_schemas import (
    CompanyFilter,
    CompanySummary,
    CompanyTotal,
    CompanyView,
    CompanyWords,
    NewCompany,
)
from leadflood.domain.leads.schemas import Editor
from leadflood.domain.leads.shown import read_search
from leadflood.domain.leads.writing import company_id_of
from leadflood.engine.clock import Clock
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import (
    Conflict,
    Invalid,
    NotFound,
    PreconditionFailed,
)
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)


class CompanyService:
    """Companies; a person's word wins over any provider."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def list(
        self, db: Reader, wanted: CompanyFilter, after: str | None, limit: int, offset: int
    ) -> list[CompanySummary]:
        """List companies by domain, behind one."""
        given = _given(wanted)
        if given is None:
            return []
        rows = await db.fetch(SQL.list_companies, **given, after=after, limit=limit, offset=offset)
        return await companies.summaries(db, rows)

    async def count(self, db: Reader, wanted: CompanyFilter) -> CompanyTotal:
        """Count the companies that fit."""
        given = _given(wanted)
        if given is None:
            return CompanyTotal(0, is_estimate=False)
        bound = companies.EXACT + 1
        found = await db.fetch_value(SQL.count_companies, **given, bound=bound)
        if found < bound:
            return CompanyTotal(found, is_estimate=False)
        estimate = await db.fetch_value(SQL.estimate_companies)
        return CompanyTotal(max(found, estimate), is_estimate=True)

    async def get(self, db: Reader, company_id: UUID, seen_by: str | None) -> CompanyView:
        """Tell all that is known of a company. Raises: NotFound."""
        row = await db.fetch_one(SQL.find_company, id=company_id)
        if row is None:
            raise _no_company(company_id)
        return await companies.view(db, row, seen_by)

    async def create(self, tx: Tx, given: NewCompany, editor: Editor) -> CompanyView:
        """Bring a company in. Raises: Invalid; Conflict when its domain is there already."""
        domain = company_domain(given.domain)
        if domain is None:
            problem = "give the domain a company has registered (acme.com), not that of a mail host"
            raise Invalid.field("domain", problem, code="leads.company.invalid")
        told = companies.read_words(given)
        company_id, now = company_id_of(domain), self._clock.now()
        name = given.name if isinstance(given.name, str) else None
        added = await tx.fetch_value(
            SQL.add_company, id=company_id, domain=domain, name=name, now=now
        )
        if added is None:
            raise Conflict(
                f"the company {domain} is there already: look at GET /v1/companies/{company_id}",
                code="leads.company.exists",
            )
        await companies.write_words(tx, company_id, told, editor.by, self._ids, now)
        return await self.get(tx, company_id, editor.mine)

    async def change(
        self, tx: Tx, company_id: UUID, words: CompanyWords, editor: Editor
    ) -> CompanyView:
        """Write what a person says. Raises: NotFound, Invalid, PreconditionFailed."""
        told = companies.read_words(words)
        row = await self._lock(tx, company_id, editor)
        now = self._clock.now()
        if told or words.name is not UNSET:
            name = row["name"] if words.name is UNSET else words.name
            await tx.execute(SQL.change_company, id=company_id, name=name, now=now)
            await companies.write_words(tx, company_id, told, editor.by, self._ids, now)
        return await self.get(tx, company_id, editor.mine)

    async def delete(self, tx: Tx, company_id: UUID, editor: Editor) -> str:
        """Delete a company nobody works at; tells its domain.

        Raises: NotFound, PreconditionFailed; Conflict while leads, also merged or deleted ones,
        point to it.
        """
        row = await self._lock(tx, company_id, editor)
        if await tx.fetch_value(SQL.has_company_leads, id=company_id):
            raise Conflict(
                "leads work at this company, perhaps merged or deleted ones: it stays",
                code="leads.company.in_use",
            )
        await tx.execute(SQL.delete_company, id=company_id)
        return str(row["domain"])

    async def _lock(self, tx: Tx, company_id: UUID, editor: Editor) -> Row:
        row = await tx.fetch_one(SQL.lock_company, id=company_id)
        if row is None:
            raise _no_company(company_id)
        if editor.if_match not in {None, row["version"]}:
            raise PreconditionFailed(
                f"the company has changed since: it is version {row['version']} now",
                code="leads.company.changed",
            )
        return row


def _no_company(company_id: UUID) -> NotFound:
    return NotFound(f"there is no company {company_id}", code="leads.company.not_found")


def _given(wanted: CompanyFilter) -> dict[str, str | None] | None:
    """Say a filter in the words of the tables; None: nothing can fit."""
    words = None if wanted.q is None else read_search(wanted.q)
    if wanted.q is not None and not words:
        return None
    return {
        "domain": wanted.domain,
        "country": _text(FieldName.COMPANY_COUNTRY, wanted.country),
        "industry": _text(FieldName.COMPANY_INDUSTRY, wanted.industry),
        "words": words,
    }


def _text(field: FieldName, given: str | None) -> str | None:
    """Say a filter as values are kept; what cannot be one is found nowhere."""
    if given is None:
        return None
    return msgspec.json.encode(canonical(field, given) or given).decode()
