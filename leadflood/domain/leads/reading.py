"""Leads as they are known now: merges followed, values gathered, the winner of each field."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from leadflood.contracts.facts import Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.provenance import better
from leadflood.domain.leads.schemas import (
    HistoryValue,
    IdentityKey,
    LeadProfile,
    LeadStatus,
    LeadView,
    MergedLead,
    ProfileValue,
)
from leadflood.domain.leads.sql import SQL
from leadflood.engine.db.tx import Reader, Row

_decode = msgspec.json.Decoder(str | int | float | bool | tuple[str, ...]).decode
_FIELDS = {field.value: field for field in FieldName}


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
    profile = (await profiles(db, [lead_id])).get(lead_id)
    if profile is None:
        return None
    members = list(profile.members)
    rows = await db.fetch(SQL.find_leads, ids=members)
    keys = await db.fetch(SQL.find_keys, lead_ids=members)
    subjects = set(members) | ({profile.company_id} - {None})
    values = await _values(db, {subject for subject in subjects if subject is not None})
    current = {won.id for won in profile.values.values()}
    survivor = next(row for row in rows if row["id"] == profile.lead_id)
    return LeadView(
        id=profile.lead_id,
        version=profile.version,
        status=profile.status,
        failed_code=profile.failed_code,
        source=survivor["source"],
        owner=survivor["owner"],
        company_id=profile.company_id,
        created_at=survivor["created_at"],
        updated_at=survivor["updated_at"],
        values={field: won.value for field, won in sorted(profile.values.items())},
        provenance=tuple(
            _history(value, current, profile.company_id)
            for value in sorted(
                (one for group in values.values() for one in group),
                key=lambda one: (one.field, -one.rank, one.id),
            )
        ),
        keys=tuple(IdentityKey(row["kind"], row["value"]) for row in keys),
        merged=tuple(_merged(row) for row in rows if row["merged_into"] is not None),
    )


async def _values(db: Reader, subject_ids: Iterable[UUID]) -> dict[UUID, list[ProfileValue]]:
    found: dict[UUID, list[ProfileValue]] = {}
    for row in await db.fetch(SQL.find_values, subject_ids=list(subject_ids)):
        field = _FIELDS.get(row["field"])
        if field is not None:
            found.setdefault(row["subject_id"], []).append(_value(row, field))
    return found


async def _provider_ids(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, dict[str, str]]:
    told: dict[UUID, dict[str, str]] = {}
    for row in await db.fetch(SQL.find_provider_ids, lead_ids=list(lead_ids)):
        provider = row["kind"].partition(":")[2]
        told.setdefault(row["lead_id"], {}).setdefault(provider, row["value"])
    return told


def _profile(
    group: Sequence[Row],
    values: Mapping[UUID, Sequence[ProfileValue]],
    provider_ids: Mapping[UUID, dict[str, str]],
) -> LeadProfile:
    survivor = next(row for row in group if row["id"] == row["survivor"])
    employed = max(
        (row for row in group if row["company_id"] is not None),
        key=lambda row: row["company_rank"],
        default=None,
    )
    company_id: UUID | None = None if employed is None else employed["company_id"]
    members = (survivor["id"], *(row["id"] for row in group if row is not survivor))
    won: dict[FieldName, ProfileValue] = {}
    subjects = members if company_id is None else (*members, company_id)
    for value in (one for subject in subjects for one in values.get(subject, ())):
        known = won.get(value.field)
        won[value.field] = value if known is None else better(known, value)
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
        values=won,
        provider_ids=ids,
    )


def _value(row: Row, field: FieldName) -> ProfileValue:
    value: Scalar = _decode(row["value"])
    return ProfileValue(
        id=row["id"],
        subject_id=row["subject_id"],
        field=field,
        value=value,
        source=row["source"],
        method=row["method"],
        observed_at=row["observed_at"],
        recorded_at=row["recorded_at"],
        confidence=row["confidence"],
        cost_micros=row["cost_micros"],
        evidence_hash=row["evidence_hash"].hex(),
        rank=row["rank"],
        is_human=row["is_human"],
    )


def _history(value: ProfileValue, current: set[UUID], company_id: UUID | None) -> HistoryValue:
    belongs_to_company = value.subject_id == company_id
    return HistoryValue(
        id=value.id,
        field=value.field,
        value=value.value,
        source=value.source,
        method=value.method,
        observed_at=value.observed_at,
        recorded_at=value.recorded_at,
        confidence=value.confidence,
        cost_micros=value.cost_micros,
        evidence_hash=value.evidence_hash,
        is_current=value.id in current,
        is_human=value.is_human,
        lead_id=None if belongs_to_company else value.subject_id,
        company_id=value.subject_id if belongs_to_company else None,
    )


def _merged(row: Row) -> MergedLead:
    return MergedLead(
        lead_id=row["id"],
        merged_into=row["merged_into"],
        reason=row["merge_reason"],
        by=row["merged_by"],
        at=row["merged_at"],
    )
