"""Leads as they are known now: merges followed, values gathered, the winner of each field."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.provenance import Standing, is_better
from leadflood.domain.leads.schemas import (
    HistoryValue,
    IdentityKey,
    LeadProfile,
    LeadStatus,
    LeadView,
    MergedLead,
    ProfileValue,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row

SQL = load_queries(__file__)

_decode = msgspec.json.Decoder(str | int | float | bool | tuple[str, ...]).decode
_decode_told = msgspec.json.Decoder(str | int | float | bool | tuple[str, ...] | None).decode
NONE = "null"
"""The text of a value by which a person says that there is none."""
SUBJECT, FIELD, HUMAN, RANK, EVIDENCE, VALUE, ID = range(7)
STANDING = slice(2, 6)
"""The first columns of `find_values` and `find_views`, by place: looked at for every row."""
_VALUE_PART, _KEY_PART = 2, 3

_FIELDS = {field.value: field for field in FieldName}


class _Member(NamedTuple):
    """A lead that is one with the lead asked for; the columns of `find_views`' first part.

    What tells of its merge is there whole or not at all (`lead_merge_is_told`).
    """

    survivor: UUID
    id: UUID
    version: int
    status: str
    failed_code: str | None
    company_id: UUID | None
    company_rank: float | None
    source: str
    owner: str | None
    merged_into: Any
    merge_reason: Any
    merged_by: Any
    merged_at: Any
    created_at: datetime
    updated_at: datetime
    tags: Sequence[str]


async def survivors(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Tell who each lead is now; leads that are gone are not in the answer."""
    rows = await db.fetch(SQL.find_survivors, ids=list(set(lead_ids)))
    return {row["start"]: row["id"] for row in rows}


async def profiles(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, LeadProfile]:
    """Tell what is known of each lead asked for, of its survivor and all merged into it.

    The answer is by the id asked for; leads that are gone are not in it.
    """
    members = await db.fetch(SQL.find_members, ids=list(set(lead_ids)))
    if not members:
        return {}
    by_start: dict[UUID, list[Row]] = {}
    for row in members:
        by_start.setdefault(row["start"], []).append(row)
    everyone = {row["id"] for row in members}
    companies = {row["company_id"] for row in members} - {None}
    values = await _values(db, everyone | companies)
    provider_ids = await _provider_ids(db, everyone)
    return {start: _profile(group, values, provider_ids) for start, group in by_start.items()}


async def find(db: Reader, lead_id: UUID) -> LeadView | None:
    """Tell everything known of a lead; of a merged one, its survivor."""
    return (await find_many(db, [lead_id])).get(lead_id)


async def find_many(db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, LeadView]:
    """Tell everything known of leads in one statement; of merged ones, their survivors.

    The answer is by the id asked for; leads that are gone or deleted are not in it.
    """
    families: dict[UUID, list[_Member]] = {}
    said: dict[UUID, list[Row]] = {}
    keys: dict[UUID, list[IdentityKey]] = {}
    for part, told in await db.fetch(SQL.find_views, ids=list(lead_ids)):
        if part == _VALUE_PART:
            if told[FIELD] in _FIELDS:
                said.setdefault(told[SUBJECT], []).append(told)
        elif part == _KEY_PART:
            keys.setdefault(told[0], []).append(IdentityKey(told[1], told[2]))
        else:
            families.setdefault(told[0], []).append(_Member(*told[1:]))
    return {
        asked: _view(sorted(family, key=lambda one: one.id), said, keys)
        for asked, family in families.items()
    }


async def _values(db: Reader, subject_ids: Iterable[UUID]) -> dict[UUID, list[Row]]:
    found: dict[UUID, list[Row]] = {}
    for row in await db.fetch(SQL.find_values, subject_ids=list(subject_ids)):
        if row[FIELD] in _FIELDS:
            found.setdefault(row[SUBJECT], []).append(row)
    return found


async def _provider_ids(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, dict[str, str]]:
    told: dict[UUID, dict[str, str]] = {}
    for row in await db.fetch(SQL.find_provider_ids, lead_ids=list(lead_ids)):
        provider = row["kind"].partition(":")[2]
        told.setdefault(row["lead_id"], {}).setdefault(provider, row["value"])
    return told


def _profile(
    group: Sequence[Row],
    values: Mapping[UUID, Sequence[Row]],
    provider_ids: Mapping[UUID, dict[str, str]],
) -> LeadProfile:
    survivor = next(row for row in group if row["id"] == row["survivor"])
    employed = max(
        (row for row in group if row["company_rank"] is not None),
        key=lambda row: row["company_rank"],
        default=None,
    )
    company_id: UUID | None = None if employed is None else employed["company_id"]
    members = (survivor["id"], *(row["id"] for row in group if row is not survivor))
    subjects = members if company_id is None else (*members, company_id)
    won = _winners([row for subject in subjects for row in values.get(subject, ())])
    ids: dict[str, str] = {}
    for member in reversed(members):
        ids |= provider_ids.get(member, {})
    return LeadProfile(
        lead_id=survivor["id"],
        version=survivor["version"],
        status=LeadStatus(survivor["status"]),
        failed_code=survivor["failed_code"],
        company_id=company_id,
        members=members,
        values={_FIELDS[field]: _value(row) for field, row in won.items() if row[VALUE] != NONE},
        provider_ids=ids,
        settled=frozenset({_FIELDS[field] for field, row in won.items() if row[HUMAN]}),
        is_deleted=survivor["deleted_at"] is not None,
    )


def _winners(rows: Sequence[Row]) -> dict[str, Row]:
    """Choose the winner of each field; an address takes along only what was said of itself."""
    won: dict[str, Row] = {}
    for row in rows:
        field = row[FIELD]
        known = won.get(field)
        if known is None or is_better(_standing(row), _standing(known)):
            won[field] = row
    address, status = won.get(FieldName.EMAIL), won.get(FieldName.EMAIL_STATUS)
    if address is None or status is None or status[EVIDENCE] == address[EVIDENCE]:
        return won
    if address[VALUE] == NONE:
        del won[FieldName.EMAIL_STATUS]
        return won
    of_others = {
        row[EVIDENCE]
        for row in rows
        if row[FIELD] == FieldName.EMAIL and row[VALUE] != address[VALUE]
    }
    if status[EVIDENCE] in of_others:
        del won[FieldName.EMAIL_STATUS]
        told = [row for row in rows if row[FIELD] == FieldName.EMAIL_STATUS]
        return won | _winners([row for row in told if row[EVIDENCE] not in of_others])
    return won


def _standing(row: Row) -> Standing:
    standing: Standing = row[STANDING]  # type: ignore[index]  # records slice; the Protocol hides it
    return standing


def _value(row: Row) -> ProfileValue:
    value: Scalar = _decode(row["value"])
    return ProfileValue(
        id=row["id"],
        subject_id=row["subject_id"],
        field=_FIELDS[row["field"]],
        value=value,
        source=row["source"],
        method=row["method"],
        observed_at=row["observed_at"],
        confidence=row["confidence"],
        evidence_hash=row["evidence_hash"].hex(),
        is_human=row["is_human"],
    )


def _view(
    family: Sequence[_Member],
    said: Mapping[UUID, Sequence[Row]],
    keys: Mapping[UUID, Sequence[IdentityKey]],
) -> LeadView:
    """Put together what is shown of one lead."""
    lead = next(one for one in family if one.id == one.survivor)
    employed = max(
        (one for one in family if one.company_rank is not None),
        key=lambda one: one.company_rank or 0.0,
        default=None,
    )
    company_id = None if employed is None else employed.company_id
    subjects = [one.id for one in family]
    if company_id is not None:
        subjects.append(company_id)
    rows = [row for subject in subjects for row in said.get(subject, ())]
    won = _winners(rows)
    current = {row[ID] for row in won.values()}
    return LeadView(
        id=lead.id,
        version=lead.version,
        status=LeadStatus(lead.status),
        failed_code=lead.failed_code,
        source=lead.source,
        owner=lead.owner,
        tags=tuple(lead.tags),
        company_id=company_id,
        created_at=lead.created_at,
        updated_at=lead.updated_at,
        values={
            _FIELDS[field]: _decode(won[field][VALUE])
            for field in sorted(won)
            if won[field][VALUE] != NONE
        },
        provenance=tuple(
            [_history(row, is_current=row[ID] in current) for row in sorted(rows, key=_by_weight)]
        ),
        keys=tuple(sorted([key for one in family for key in keys.get(one.id, ())])),
        merged=tuple([_merged(one) for one in family if one.merged_into is not None]),
    )


def _by_weight(row: Row) -> tuple[str, bool, float, UUID]:
    return (row[FIELD], not row[HUMAN], -row[RANK], row[ID])


def _history(row: Row, *, is_current: bool) -> HistoryValue:
    (
        _, field, is_human, _, evidence, value, value_id, source, method, observed_at, confidence,
        recorded_at, cost_micros, lead_id, company_id,
    ) = row  # fmt: skip
    return HistoryValue(
        id=value_id,
        field=_FIELDS[field],
        value=_decode_told(value),
        source=source,
        method=method,
        observed_at=observed_at,
        recorded_at=recorded_at,
        confidence=confidence,
        cost_micros=cost_micros,
        evidence_hash=evidence.hex(),
        is_current=is_current,
        is_human=is_human,
        lead_id=lead_id,
        company_id=company_id,
    )


def _merged(one: _Member) -> MergedLead:
    return MergedLead(
        lead_id=one.id,
        merged_into=one.merged_into,
        reason=one.merge_reason,
        by=one.merged_by,
        at=one.merged_at,
    )
