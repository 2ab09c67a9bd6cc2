"""Leads as they are known now: merges followed, values gathered, the winner of each field."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.repository.value_rows import (
    FIELD,
    FIELDS,
    HUMAN,
    NO_VALUE,
    SUBJECT,
    VALUE,
    choose_winners,
    decode_winners,
    list_history,
)
from leadflood.domain.leads.schemas.identity import ROW, IdentityKey
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.schemas.profiles import LeadProfile, LeadView, MergedLead, ProfileValue
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row

SQL = load_queries(__file__)

_decode = msgspec.json.Decoder(str | int | float | bool | tuple[str, ...]).decode
_VALUE_PART, _KEY_PART = 2, 3


class _Member(NamedTuple):
    """A lead that is one with the lead asked for; the columns of `find_views`' first part.

    The columns of its merge are there all or not at all (`lead_merge_is_whole`).
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


async def find_survivors(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Return the survivor of each lead; leads that are gone are left out."""
    rows = await db.fetch(SQL.find_survivors, ids=list(set(lead_ids)))
    return {row["start"]: row["id"] for row in rows}


async def find_profiles(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, LeadProfile]:
    """Return the profile of each lead: of its survivor and all leads merged into it.

    By the id asked for; leads that are gone are left out.
    """
    members = await db.fetch(SQL.find_members, ids=list(set(lead_ids)))
    if not members:
        return {}
    by_start: dict[UUID, list[Row]] = {}
    for row in members:
        by_start.setdefault(row["start"], []).append(row)
    member_ids = {row["id"] for row in members}
    company_ids = {row["company_id"] for row in members} - {None}
    values = await _find_values(db, member_ids | company_ids)
    provider_ids = await _find_provider_ids(db, member_ids)
    return {start: _profile(group, values, provider_ids) for start, group in by_start.items()}


async def find_views(db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, LeadView]:
    """Return all that is known of leads in one statement; of merged ones, their survivors.

    By the id asked for; leads that are gone or deleted are left out.
    """
    families: dict[UUID, list[_Member]] = {}
    values: dict[UUID, list[Row]] = {}
    keys: dict[UUID, list[IdentityKey]] = {}
    for part, row in await db.fetch(SQL.find_views, ids=list(lead_ids)):
        if part == _VALUE_PART:
            if row[FIELD] in FIELDS:
                values.setdefault(row[SUBJECT], []).append(row)
        elif part == _KEY_PART:
            keys.setdefault(row[0], []).append(IdentityKey(row[1], row[2]))
        else:
            families.setdefault(row[0], []).append(_Member(*row[1:]))
    return {
        lead_id: _view(sorted(family, key=lambda member: member.id), values, keys)
        for lead_id, family in families.items()
    }


async def _find_values(db: Reader, subject_ids: Iterable[UUID]) -> dict[UUID, list[Row]]:
    values: dict[UUID, list[Row]] = {}
    for row in await db.fetch(SQL.find_values, subject_ids=list(subject_ids)):
        if row[FIELD] in FIELDS:
            values.setdefault(row[SUBJECT], []).append(row)
    return values


async def _find_provider_ids(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, dict[str, str]]:
    provider_ids: dict[UUID, dict[str, str]] = {}
    for row in await db.fetch(SQL.find_provider_ids, lead_ids=list(lead_ids)):
        provider = row["kind"].partition(":")[2]
        provider_ids.setdefault(row["lead_id"], {}).setdefault(provider, row["value"])
    return provider_ids


def _profile(
    group: Sequence[Row],
    values: Mapping[UUID, Sequence[Row]],
    provider_ids: Mapping[UUID, dict[str, str]],
) -> LeadProfile:
    survivor = next(row for row in group if row["id"] == row["survivor"])
    company_id = _employer_of_rows(group)
    members = (survivor["id"], *(row["id"] for row in group if row is not survivor))
    subjects = members if company_id is None else (*members, company_id)
    winners = choose_winners([row for subject in subjects for row in values.get(subject, ())])
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
        values={
            FIELDS[field]: _value(row) for field, row in winners.items() if row[VALUE] != NO_VALUE
        },
        provider_ids=ids,
        settled=frozenset({FIELDS[field] for field, row in winners.items() if row[HUMAN]}),
        is_deleted=survivor["deleted_at"] is not None,
        member_values=_values_of_each(members, values) if len(members) > 1 else (),
    )


def _values_of_each(
    members: Sequence[UUID], values: Mapping[UUID, Sequence[Row]]
) -> tuple[dict[FieldName, Scalar], ...]:
    """Return the winners of each of several leads by itself."""
    return tuple(decode_winners(choose_winners(values.get(member, ()))) for member in members)


def _employer_of_rows(group: Sequence[Row]) -> UUID | None:
    employed = [row for row in group if row["company_rank"] is not None]
    best = max(employed, key=lambda row: (row["company_rank"], row["id"]), default=None)
    company_id: UUID | None = None if best is None else best["company_id"]
    return company_id


def _value(row: Row) -> ProfileValue:
    value: Scalar = _decode(row["value"])
    return ProfileValue(
        id=row["id"],
        subject_id=row["subject_id"],
        field=FIELDS[row["field"]],
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
    values: Mapping[UUID, Sequence[Row]],
    keys: Mapping[UUID, Sequence[IdentityKey]],
) -> LeadView:
    """Put together what is shown of one lead."""
    lead = next(member for member in family if member.id == member.survivor)
    company_id = _employer_of(family)
    subjects = [member.id for member in family]
    if company_id is not None:
        subjects.append(company_id)
    rows = [row for subject in subjects for row in values.get(subject, ())]
    winners = choose_winners(rows)
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
        values=decode_winners(winners),
        provenance=list_history(rows, winners),
        keys=tuple(
            sorted([key for member in family for key in keys.get(member.id, ()) if key.kind != ROW])
        ),
        merged=tuple([_merged(member) for member in family if member.merged_into is not None]),
    )


def _employer_of(family: Sequence[_Member]) -> UUID | None:
    employed = [member for member in family if member.company_rank is not None]
    best = max(employed, key=lambda member: (member.company_rank, member.id), default=None)
    return None if best is None else best.company_id


def _merged(member: _Member) -> MergedLead:
    return MergedLead(
        lead_id=member.id,
        merged_into=member.merged_into,
        reason=member.merge_reason,
        by=member.merged_by,
        at=member.merged_at,
    )
