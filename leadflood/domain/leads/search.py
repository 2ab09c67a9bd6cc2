"""What lists show of leads, kept beside the leads in the transactions that change them.

Whoever changes what is said of a lead, or who is one with it, holds the lock of its survivor and
then calls `refresh`: it reads in a statement of its own, so it sees what others committed before
the lock was given. `docs/decisions/lead-search.md` says why it is done so.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import Band, FieldName
from leadflood.domain.leads.provenance import Standing, is_better, is_human
from leadflood.domain.leads.shown import SHOWN_FIELDS, Shown, shown_of
from leadflood.domain.leads.writing import Prepared
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)

_FIELDS = {field.value: field for field in SHOWN_FIELDS}
_decode = msgspec.json.Decoder(str | int | float | bool | tuple[str, ...] | None).decode

Told = tuple[FieldName, Standing]
"""What one row says: the field, and the standing, whose last part is the value's text."""


class NewScore(msgspec.Struct, frozen=True, kw_only=True):
    """A score that was just kept; `score_id` orders the scores of a lead."""

    lead_id: UUID
    score_id: UUID
    score_milli: int
    band: Band
    icp_id: UUID
    run_id: UUID | None
    scored_at: datetime


def shown_of_new(said: Iterable[Prepared]) -> Shown:
    """Tell what is shown of a lead of which nothing but this was ever said."""
    freshest: dict[tuple[FieldName, str, str, bytes], tuple[datetime, Told]] = {}
    for one in said:
        for stored in one.values:
            found = stored.found
            if found.field not in SHOWN_FIELDS or stored.company_id is not None:
                continue
            key = (found.field, found.source, found.method, stored.evidence)
            standing = (is_human(found.source), stored.rank, stored.evidence, stored.text)
            known = freshest.get(key)
            if known is None or known[0] < found.observed_at:
                freshest[key] = (found.observed_at, (found.field, standing))
    return _choose(told for _, told in freshest.values())


async def read_shown(db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, Shown]:
    """Tell what is to be shown of these leads, of all that is said of them and their like.

    Leads that are one with another are not in the answer: nobody lists them.
    """
    told: dict[UUID, list[Told]] = {}
    rows = await db.fetch(SQL.find_shown, ids=list(lead_ids), fields=list(_FIELDS))
    for lead_id, field, human, rank, evidence, text in rows:
        said = told.setdefault(lead_id, [])
        if field is not None:
            said.append((_FIELDS[field], (human, rank, evidence, text)))
    return {lead_id: _choose(said) for lead_id, said in told.items()}


async def list_ids(db: Reader, after: UUID, limit: int) -> list[UUID]:
    """List leads by their age, behind one."""
    return [row["id"] for row in await db.fetch(SQL.list_ids, after=after, limit=limit)]


async def refresh(tx: Tx, lead_ids: Iterable[UUID]) -> None:
    """Write anew what is shown of these leads' survivors, whose locks the caller holds.

    A row that says so already is left as it is.
    """
    wanted = sorted(set(lead_ids))
    if wanted:
        await write_shown(tx, await read_shown(tx, wanted))


async def write_shown(tx: Tx, shown: Mapping[UUID, Shown]) -> None:
    """Write what is shown of leads, and the words that find them."""
    if not shown:
        return
    ordered = sorted(shown)
    rows = [shown[lead_id] for lead_id in ordered]
    await tx.execute(SQL.write_shown, ids=ordered, **columns_of(rows))


def columns_of(rows: Sequence[Shown]) -> dict[str, list[str | None]]:
    """Put what is shown into the arrays that statements take."""
    return {
        "full_names": [one.full_name for one in rows],
        "titles": [one.title for one in rows],
        "emails": [one.email for one in rows],
        "company_names": [one.company_name for one in rows],
        "countries": [one.country for one in rows],
        "sort_names": [one.sort_name for one in rows],
        "words": [one.words for one in rows],
    }


async def lock(tx: Tx, lead_ids: Iterable[UUID]) -> None:
    """Lock leads in the order of their ids, as everybody does who changes several."""
    await tx.fetch(SQL.lock_leads, ids=sorted(set(lead_ids)))


async def record_scores(tx: Tx, scores: Sequence[NewScore]) -> None:
    """Show new scores on their leads, which the caller has locked, unless a newer one is shown."""
    newest: dict[UUID, NewScore] = {}
    for one in scores:
        known = newest.get(one.lead_id)
        if known is None or known.score_id.int < one.score_id.int:
            newest[one.lead_id] = one
    if not newest:
        return
    ordered = [newest[lead_id] for lead_id in sorted(newest)]
    await tx.execute(
        SQL.show_scores,
        ids=[one.lead_id for one in ordered],
        score_ids=[one.score_id for one in ordered],
        scores_milli=[one.score_milli for one in ordered],
        bands=[one.band.value for one in ordered],
        icp_ids=[one.icp_id for one in ordered],
        run_ids=[one.run_id for one in ordered],
        scored_ats=[one.scored_at for one in ordered],
    )


def _choose(told: Iterable[Told]) -> Shown:
    won: dict[FieldName, Standing] = {}
    for field, standing in told:
        known = won.get(field)
        if known is None or is_better(standing, known):
            won[field] = standing
    values = {field: _decode(standing[-1]) for field, standing in won.items()}
    return shown_of({field: value for field, value in values.items() if value is not None})
