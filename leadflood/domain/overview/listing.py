"""Lists of leads: one page, how many there are, and the words that find them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Band, FieldName
from leadflood.domain.leads.schemas import LeadStatus
from leadflood.domain.overview.schemas import (
    LeadFilter,
    LeadPaging,
    LeadPlace,
    LeadSummary,
    ListedLead,
    Total,
)
from leadflood.domain.overview.store import EXACT, SQL
from leadflood.engine.db.tx import Reader, Row, Tx

_SLACK = timedelta(minutes=10)
"""How far an id's time may be from `created_at`: the id is made somewhat earlier, by any node."""

SURELY = 10 * EXACT
"""Where the planner guesses more leads than this, they are not counted."""
_SHORT = 3
_SHOWN = {
    FieldName.FULL_NAME: "full_name",
    FieldName.TITLE: "title",
    FieldName.EMAIL: "email",
    FieldName.COMPANY_NAME: "company_name",
    FieldName.COMPANY_DOMAIN: "company_domain",
    FieldName.COUNTRY: "country",
}


async def plan_by_values(tx: Tx) -> None:
    """Let the planner look at each filter's values until the transaction ends."""
    await tx.fetch(SQL.plan_by_values)


async def take_snapshot(tx: Tx) -> None:
    """See the leads of one moment until the transaction, in which nothing was read yet, ends."""
    await tx.execute(SQL.take_snapshot)


async def read_filter(
    db: Reader, wanted: LeadFilter, words: str | None, *, are_common: bool = False
) -> dict[str, Any]:
    """Say a filter in the words of the tables; `words` is `wanted.q` as a query of words.

    `are_common`: it is known already that they find very many.
    """
    lead_ids = None
    if wanted.email is not None:
        lead_ids = [row["id"] for row in await db.fetch(SQL.find_by_email, email=wanted.email)]
    company_id = wanted.company_id
    if wanted.company_domain is not None:
        found = await db.fetch_value(SQL.find_company, domain=wanted.company_domain)
        same = found is not None and company_id in {None, found}
        company_id, lead_ids = (found, lead_ids) if same else (company_id, [])
    if wanted.q is not None and not words:
        words, lead_ids = None, []
    after, before = wanted.created_after, wanted.created_before
    return {
        "status": None if wanted.status is None else wanted.status.value,
        "band": None if wanted.band is None else wanted.band.value,
        "min_milli": wanted.min_milli,
        "max_milli": wanted.max_milli,
        "is_scoped": wanted.icp_id is not None or wanted.run_id is not None,
        "icp_id": wanted.icp_id,
        "run_id": wanted.run_id,
        "source": wanted.source,
        "owner": wanted.owner,
        "is_unowned": wanted.is_unowned,
        "seen_by": wanted.seen_by,
        "country": wanted.country,
        "tags": list(wanted.tags) or None,
        "company_id": company_id,
        "lead_ids": lead_ids,
        "created_after": after,
        "from_id": None if after is None else _first_id(after, -_SLACK),
        "created_before": before,
        "to_id": None if before is None else _first_id(before, _SLACK),
        "words": words,
        "is_common": words is not None and (are_common or await _is_common(db, words)),
    }


async def list_page(db: Reader, given: dict[str, Any], paging: LeadPaging) -> list[ListedLead]:
    """List leads behind a place."""
    after = paging.after
    rows = await db.fetch(
        SQL.list_leads,
        **given,
        sort=paging.sort.value,
        after_id=None if after is None else after.id,
        after_at=None if after is None else after.at,
        after_milli=None if after is None else after.milli,
        after_name=None if after is None else after.name,
        limit=paging.limit,
        offset=paging.offset,
    )
    return [_listed(row) for row in rows]


async def count(db: Reader, given: dict[str, Any]) -> Total:
    """Count the leads that fit; beyond a bound the planner's estimate stands in.

    Where it guesses far beyond, nothing is counted at all: of words it guesses badly, there it
    never goes first.
    """
    guessed = 0 if given["words"] is not None else await _guess(db, given)
    if guessed > SURELY:
        return Total(guessed, is_estimate=True)
    found = await db.fetch_value(SQL.count_leads, **given, bound=EXACT + 1)
    if found <= EXACT:
        return Total(found, is_estimate=False)
    return Total(max(guessed or await _guess(db, given), found), is_estimate=True)


async def _guess(db: Reader, given: dict[str, Any]) -> int:
    plan = msgspec.json.decode(await db.fetch_value(SQL.estimate_leads, **given))
    return int(plan[0]["Plan"]["Plan Rows"])


async def count_all(db: Reader, given: dict[str, Any]) -> int:
    """Count the leads that fit, however many."""
    found: int = await db.fetch_value(SQL.count_leads, **given, bound=None)
    return found


async def _is_common(db: Reader, words: str) -> bool:
    """Tell whether words find so many leads that looking at lead after lead is quicker.

    Beginnings of one or two letters are, without a look: their index alone names half of all.
    """
    if all(len(part.partition("'")[0]) < _SHORT for part in words.split("'")[1::2]):
        return True
    found: int = await db.fetch_value(SQL.count_words, words=words, bound=EXACT + 1)
    return found > EXACT


def _first_id(at: datetime, shift: timedelta) -> UUID:
    """Tell the smallest id of a moment: an id begins with its milliseconds since 1970."""
    try:
        milliseconds = int((at + shift).timestamp() * 1000)
    except OverflowError:
        milliseconds = 0 if at.year == 1 else (1 << 48) - 1
    return UUID(int=min(max(milliseconds, 0), (1 << 48) - 1) << 80)


def _listed(row: Row) -> ListedLead:
    milli = row["score_milli"]
    band = row["band"]
    values: dict[FieldName, Scalar] = {
        field: row[column] for field, column in _SHOWN.items() if row[column] is not None
    }
    lead = LeadSummary(
        id=row["id"], version=row["version"], status=LeadStatus(row["status"]),
        failed_code=row["failed_code"], source=row["source"], owner=row["owner"],
        tags=tuple(row["tags"]), company_id=row["company_id"], values=values,
        score=None if milli is None else milli / 1000, band=None if band is None else Band(band),
        icp_id=row["icp_id"], run_id=row["run_id"], scored_at=row["scored_at"],
        created_at=row["created_at"], updated_at=row["updated_at"],
    )  # fmt: skip
    place = LeadPlace(lead.id, lead.updated_at, -1 if milli is None else milli, row["sort_name"])
    return ListedLead(lead, place)
