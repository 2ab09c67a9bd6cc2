"""Companies in the database, and the leads that work at them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.companies.rules import StoredFilter
from leadflood.domain.companies.schemas import CompanyLead
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.engine.db.rows import to_struct
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)


class CompanyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A company's own row."""

    id: UUID
    version: int
    domain: str
    name: str | None
    created_at: datetime
    updated_at: datetime


class LockedCompany(msgspec.Struct, frozen=True):
    """A company with the user who brought it in; None: nobody who sees only their own leads."""

    row: CompanyRow
    owner: str | None


async def list_companies(
    db: Reader,
    companies: StoredFilter,
    visibility: Visibility,
    after: str | None,
    limit: int,
    offset: int,
) -> list[CompanyRow]:
    """List companies by domain, behind one."""
    params = {**msgspec.structs.asdict(companies), "owner": visibility.owner}
    rows = await db.fetch(SQL.list_companies, **params, after=after, limit=limit, offset=offset)
    return [_company(row) for row in rows]


async def count_companies(
    db: Reader, companies: StoredFilter, visibility: Visibility, bound: int
) -> int:
    """Count the companies that fit, up to a bound."""
    params = {**msgspec.structs.asdict(companies), "owner": visibility.owner}
    count: int = await db.fetch_value(SQL.count_companies, **params, bound=bound)
    return count


async def estimate_companies(db: Reader) -> int:
    """Estimate how many companies there are."""
    count: int = await db.fetch_value(SQL.estimate_companies)
    return count


async def find_company(db: Reader, company_id: UUID, visibility: Visibility) -> CompanyRow | None:
    """Find a company that may be seen."""
    row = await db.fetch_one(SQL.find_company, id=company_id, owner=visibility.owner)
    return None if row is None else _company(row)


async def lock_company(tx: Tx, company_id: UUID, visibility: Visibility) -> LockedCompany | None:
    """Lock a company that may be seen, so that no lead comes to it meanwhile."""
    row = await tx.fetch_one(SQL.lock_company, id=company_id, owner=visibility.owner)
    return None if row is None else LockedCompany(_company(row), row["owner"])


async def add_company(tx: Tx, company: LockedCompany, now: datetime) -> bool:
    """Add a company; return whether it is new."""
    row = company.row
    added = await tx.fetch_value(
        SQL.add_company, id=row.id, domain=row.domain, name=row.name, owner=company.owner, now=now
    )
    return added is not None


async def update_company(tx: Tx, company_id: UUID, name: str | None, now: datetime) -> None:
    """Set a company's name; its version rises by one."""
    await tx.execute(SQL.change_company, id=company_id, name=name, now=now)


async def delete_company(tx: Tx, company_id: UUID) -> None:
    """Delete a company's row."""
    await tx.execute(SQL.delete_company, id=company_id)


async def has_leads(db: Reader, company_id: UUID) -> bool:
    """Whether any lead points to the company, also one that is merged or deleted."""
    return bool(await db.fetch_value(SQL.has_company_leads, id=company_id))


async def count_leads(db: Reader, company_id: UUID, visibility: Visibility, bound: int) -> int:
    """Count the visible leads that work at a company, up to a bound."""
    count: int = await db.fetch_value(
        SQL.count_company_leads, id=company_id, owner=visibility.owner, bound=bound
    )
    return count


async def list_leads(
    db: Reader, company_id: UUID, visibility: Visibility, limit: int
) -> Sequence[CompanyLead]:
    """List the visible leads that work at a company, the oldest first."""
    rows = await db.fetch(
        SQL.list_company_leads, id=company_id, owner=visibility.owner, limit=limit
    )
    return [
        CompanyLead(
            id=row["id"],
            full_name=row["full_name"],
            title=row["title"],
            status=LeadStatus(row["status"]),
        )
        for row in rows
    ]


def _company(row: Row) -> CompanyRow:
    return to_struct(row, CompanyRow)
