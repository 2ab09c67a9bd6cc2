"""List columns of leads, kept beside the leads in the transactions that change them.

Whoever changes the values of a lead, or which leads are one with it, holds the lock of its
survivor and then calls `refresh`: it reads in a statement of its own, so it sees what others
committed before the lock was given. `docs/decisions/lead-search.md` says why it is done so.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.list_columns import (
    LISTED_FIELDS,
    ListColumns,
    choose_list_columns,
)
from leadflood.domain.leads.rules.prepared_values import PreparedValues
from leadflood.domain.leads.rules.provenance import Standing, is_better, is_human
from leadflood.domain.leads.schemas.profiles import NewScore
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)

_FIELDS = {field.value: field for field in LISTED_FIELDS}
_decode = msgspec.json.Decoder(str | int | float | bool | tuple[str, ...] | None).decode

Candidate = tuple[FieldName, Standing]
"""A value that may win its field; the last part of its standing is the value's text."""


def list_columns_of_new(prepared: Iterable[PreparedValues]) -> ListColumns:
    """Return the list columns of a lead that has no values but these."""
    newest: dict[tuple[FieldName, str, str, bytes], tuple[datetime, Candidate]] = {}
    for values in prepared:
        for stored in values.values:
            raw = stored.found
            if raw.field not in LISTED_FIELDS or stored.company_id is not None:
                continue
            key = (raw.field, raw.source, raw.method, stored.evidence)
            rank = (
                is_human(raw.source),
                stored.rank,
                raw.observed_at,
                stored.evidence,
                stored.text,
            )
            existing = newest.get(key)
            if existing is None or existing[0] < raw.observed_at:
                newest[key] = (raw.observed_at, (raw.field, rank))
    return _choose(candidate for _, candidate in newest.values())


async def find_list_columns(db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, ListColumns]:
    """Return the list columns of these leads, from their values and those of merged leads.

    Leads that are merged into another are left out: nobody lists them.
    """
    candidates: dict[UUID, list[Candidate]] = {}
    rows = await db.fetch(SQL.find_list_columns, ids=list(lead_ids), fields=list(_FIELDS))
    for lead_id, field, human, rank, observed_at, evidence, text in rows:
        of_lead = candidates.setdefault(lead_id, [])
        if field is not None:
            of_lead.append((_FIELDS[field], (human, rank, observed_at, evidence, text)))
    return {lead_id: _choose(of_lead) for lead_id, of_lead in candidates.items()}


async def refresh(tx: Tx, lead_ids: Iterable[UUID]) -> None:
    """Write the list columns of these leads' survivors anew, whose locks the caller holds.

    A row that is up to date is left as it is.
    """
    ids = sorted(set(lead_ids))
    if ids:
        await update_list_columns(tx, await find_list_columns(tx, ids))


async def update_list_columns(tx: Tx, columns: Mapping[UUID, ListColumns]) -> None:
    """Write list columns, and the words that find the leads."""
    if not columns:
        return
    ordered = sorted(columns)
    rows = [columns[lead_id] for lead_id in ordered]
    await tx.execute(SQL.update_list_columns, ids=ordered, **as_arrays(rows))


def as_arrays(rows: Sequence[ListColumns]) -> dict[str, list[str | None]]:
    """Put list columns into the arrays that statements take."""
    return {
        "full_names": [row.full_name for row in rows],
        "titles": [row.title for row in rows],
        "emails": [row.email for row in rows],
        "company_names": [row.company_name for row in rows],
        "countries": [row.country for row in rows],
        "sort_names": [row.sort_name for row in rows],
        "words": [row.words for row in rows],
    }


async def record_scores(tx: Tx, scores: Sequence[NewScore]) -> None:
    """Show new scores on their locked leads, unless a newer one is shown."""
    newest: dict[UUID, NewScore] = {}
    for score in scores:
        existing = newest.get(score.lead_id)
        if existing is None or _age(existing) < _age(score):
            newest[score.lead_id] = score
    if not newest:
        return
    ordered = [newest[lead_id] for lead_id in sorted(newest)]
    await tx.execute(
        SQL.update_scores,
        ids=[score.lead_id for score in ordered],
        score_ids=[score.score_id for score in ordered],
        source_versions=[score.source_version for score in ordered],
        scores_milli=[score.score_milli for score in ordered],
        bands=[score.band.value for score in ordered],
        icp_ids=[score.icp_id for score in ordered],
        run_ids=[score.run_id for score in ordered],
        scored_ats=[score.scored_at for score in ordered],
    )


def _age(score: NewScore) -> tuple[int, UUID]:
    return score.source_version, score.score_id


def _choose(candidates: Iterable[Candidate]) -> ListColumns:
    winners: dict[FieldName, Standing] = {}
    for field, rank in candidates:
        best = winners.get(field)
        if best is None or is_better(rank, best):
            winners[field] = rank
    values = {field: _decode(rank[-1]) for field, rank in winners.items()}
    return choose_list_columns(
        {field: value for field, value in values.items() if value is not None}
    )
