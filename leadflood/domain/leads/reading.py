"""Leads as they are known now: merges followed, values gathered, the winner of each field."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from leadflood.contracts.facts import Scalar
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
from leadflood.domain.leads.sql import SQL
from leadflood.engine.db.tx import Reader, Row

_decode = msgspec.json.Decoder(str | int | float | bool | tuple[str, ...]).decode
SUBJECT, FIELD, _, _, EVIDENCE, VALUE = range(6)
STANDING = slice(2, 6)
"""The first columns of `find_values`, by place: looked at for every row."""

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
    subjects = {*members, *(() if profile.company_id is None else (profile.company_id,))}
    values: dict[UUID, list[Row]] = {}
    for row in await db.fetch(SQL.find_history, subject_ids=list(subjects)):
        if row["field"] in _FIELDS:
            values.setdefault(row["subject_id"], []).append(row)
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
            _history(row, current)
            for row in sorted(
                (one for group in values.values() for one in group),
                key=lambda one: (one["field"], not one["is_human"], -one["rank"], one["id"]),
            )
        ),
        keys=tuple(IdentityKey(row["kind"], row["value"]) for row in keys),
        merged=tuple(_merged(row) for row in rows if row["merged_into"] is not None),
    )


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
        (row for row in group if row["company_id"] is not None),
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
        values={_FIELDS[field]: _value(row) for field, row in won.items()},
        provider_ids=ids,
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


def _history(row: Row, current: set[UUID]) -> HistoryValue:
    value: Scalar = _decode(row["value"])
    return HistoryValue(
        id=row["id"],
        field=_FIELDS[row["field"]],
        value=value,
        source=row["source"],
        method=row["method"],
        observed_at=row["observed_at"],
        recorded_at=row["recorded_at"],
        confidence=row["confidence"],
        cost_micros=row["cost_micros"],
        evidence_hash=row["evidence_hash"].hex(),
        is_current=row["id"] in current,
        is_human=row["is_human"],
        lead_id=row["lead_id"],
        company_id=row["company_id"],
    )


def _merged(row: Row) -> MergedLead:
    return MergedLead(
        lead_id=row["id"],
        merged_into=row["merged_into"],
        reason=row["merge_reason"],
        by=row["merged_by"],
        at=row["merged_at"],
    )
