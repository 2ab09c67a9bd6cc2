"""Lists of leads: one page, how many there are, and the words that find them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from leadflood.contracts.values import Band
from leadflood.domain.lead_views.rules.export_columns import LISTED
from leadflood.domain.lead_views.schemas import (
    LeadFilter,
    LeadPaging,
    LeadPosition,
    LeadSummary,
    ListedLead,
    Total,
)
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)
EXACT = 10_000
"""Up to how many leads a list counts; beyond, an estimate is enough."""
SURELY = 10 * EXACT
"""Where the planner guesses more leads than this, they are not counted."""
_SLACK = timedelta(minutes=10)
"""How far an id's time may be from `created_at`: the id is made somewhat earlier, by any node."""
_SHORT = 3


async def plan_by_values(tx: Tx) -> None:
    """Plan each query by its filter's values until the transaction ends."""
    await tx.fetch(SQL.plan_by_values)


async def take_snapshot(tx: Tx) -> None:
    """See the leads of one moment until the transaction, in which nothing was read yet, ends."""
    await tx.execute(SQL.take_snapshot)


async def read_filter(
    db: Reader, lead_filter: LeadFilter, words: str | None, *, is_common: bool = False
) -> dict[str, Any]:
    """Return a filter as the queries take it; `words` is its `q` as a query of words.

    `is_common`: it is known already that these find very many leads.
    """
    company_id, lead_ids = await _find_matches(db, lead_filter)
    if lead_filter.q is not None and not words:
        words, lead_ids = None, []
    return {
        **_created_range(lead_filter),
        "status": lead_filter.status,
        "band": lead_filter.band,
        "min_milli": lead_filter.min_milli,
        "max_milli": lead_filter.max_milli,
        "is_scoped": lead_filter.icp_id is not None or lead_filter.run_id is not None,
        "icp_id": lead_filter.icp_id,
        "run_id": lead_filter.run_id,
        "source": lead_filter.source,
        "owner": lead_filter.owner,
        "is_unowned": lead_filter.is_unowned,
        "visible_owner": lead_filter.visibility.owner,
        "country": lead_filter.country,
        "tags": list(lead_filter.tags) or None,
        "company_id": company_id,
        "lead_ids": lead_ids,
        "words": words,
        "is_common": words is not None and (is_common or await _is_common(db, words)),
    }


def _created_range(lead_filter: LeadFilter) -> dict[str, datetime | UUID | None]:
    """Return when leads were created, and the range of ids that narrows it."""
    after, before = lead_filter.created_after, lead_filter.created_before
    return {
        "created_after": after,
        "from_id": None if after is None else _first_id(after, -_SLACK),
        "created_before": before,
        "to_id": None if before is None else _first_id(before, _SLACK),
    }


async def _find_matches(
    db: Reader, lead_filter: LeadFilter
) -> tuple[UUID | None, list[UUID] | None]:
    """Return the company and the leads that a filter names by domain and address; None: any."""
    lead_ids = None
    if lead_filter.email is not None:
        rows = await db.fetch(SQL.find_by_email, email=lead_filter.email)
        lead_ids = [row["id"] for row in rows]
    company_id = lead_filter.company_id
    if lead_filter.company_domain is None:
        return company_id, lead_ids
    match = await db.fetch_value(SQL.find_company, domain=lead_filter.company_domain)
    if match is None or company_id not in {None, match}:
        return company_id, []
    return match, lead_ids


async def list_page(db: Reader, params: dict[str, Any], paging: LeadPaging) -> list[ListedLead]:
    """List leads behind a position."""
    after = paging.after
    rows = await db.fetch(
        SQL.list_leads,
        **params,
        sort=paging.sort.value,
        after_id=None if after is None else after.id,
        after_at=None if after is None else after.at,
        after_milli=None if after is None else after.milli,
        after_name=None if after is None else after.name,
        limit=paging.limit,
        offset=paging.offset,
    )
    return [_lead(row) for row in rows]


async def count_leads(db: Reader, params: dict[str, Any]) -> Total:
    """Count the leads that fit; beyond a bound the planner's estimate stands in.

    Where it guesses far beyond, nothing is counted at all: of words it guesses badly, there it
    never goes first.
    """
    estimate = 0 if params["words"] is not None else await _guess(db, params)
    if estimate > SURELY:
        return Total(estimate, is_estimate=True)
    count = await db.fetch_value(SQL.count_leads, **params, bound=EXACT + 1)
    if count <= EXACT:
        return Total(count, is_estimate=False)
    return Total(max(estimate or await _guess(db, params), count), is_estimate=True)


async def _guess(db: Reader, params: dict[str, Any]) -> int:
    plan = msgspec.json.decode(await db.fetch_value(SQL.estimate_leads, **params))
    return int(plan[0]["Plan"]["Plan Rows"])


async def count_all_leads(db: Reader, params: dict[str, Any]) -> int:
    """Count the leads that fit, however many."""
    count: int = await db.fetch_value(SQL.count_leads, **params, bound=None)
    return count


async def find_owner_emails(db: Reader, owners: Iterable[str]) -> dict[str, str]:
    """Find the addresses of the users whom leads name as their owners."""
    rows = await db.fetch(SQL.find_owner_emails, owners=list(owners))
    return {row["owner"]: row["email"] for row in rows}


async def _is_common(db: Reader, words: str) -> bool:
    """Whether words find so many leads that looking at lead after lead is quicker.

    Beginnings of one or two letters are, without a look: their index alone names half of all.
    """
    if all(len(part.partition("'")[0]) < _SHORT for part in words.split("'")[1::2]):
        return True
    count: int = await db.fetch_value(SQL.count_words, words=words, bound=EXACT + 1)
    return count > EXACT


def _first_id(at: datetime, shift: timedelta) -> UUID:
    """Return the smallest id of a moment: an id begins with its milliseconds since 1970."""
    try:
        milliseconds = int((at + shift).timestamp() * 1000)
    except OverflowError:
        milliseconds = 0 if at.year == 1 else (1 << 48) - 1
    return UUID(int=min(max(milliseconds, 0), (1 << 48) - 1) << 80)


def _lead(row: Row) -> ListedLead:
    values = dict(row.items())
    milli, sort_name = values.pop("score_milli"), values.pop("sort_name")
    columns = {field: values.pop(field.value) for field in LISTED}
    values["status"] = LeadStatus(values["status"])
    values["band"] = None if values["band"] is None else Band(values["band"])
    values["tags"] = tuple(values["tags"])
    lead = LeadSummary(
        **values,
        values={field: value for field, value in columns.items() if value is not None},
        score=None if milli is None else milli / 1000,
    )
    position = LeadPosition(lead.id, lead.updated_at, -1 if milli is None else milli, sort_name)
    return ListedLead(lead, position)
