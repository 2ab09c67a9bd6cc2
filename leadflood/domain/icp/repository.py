"""ICP versions in the database: a function a query."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.icp.schemas import (
    Autopilot,
    Definition,
    Icp,
    IcpFilter,
    QualificationRule,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)


class LatestVersion(msgspec.Struct, frozen=True):
    """The newest version of a profile, without its contents."""

    icp_id: UUID
    version: int
    content_hash: bytes
    is_archived: bool


async def lock_profile(tx: Tx, key: str) -> None:
    """Wait until nobody else writes versions under this key; ends with the transaction."""
    await tx.fetch(SQL.lock_profile, key=key)


async def record_version(tx: Tx, icp: Icp, content_hash: bytes) -> None:
    """Write a version with its rules."""
    definition = Definition(autopilot=icp.autopilot, target=icp.target, bands=icp.bands)
    await tx.execute(
        SQL.insert_version,
        id=icp.id,
        profile_id=icp.profile_id,
        version=icp.version,
        name=icp.name,
        offer=icp.offer,
        autopilot=icp.autopilot is not Autopilot.OFF,
        medium_milli=icp.bands.medium_milli,
        high_milli=icp.bands.high_milli,
        definition=msgspec.json.encode(definition).decode(),
        content_hash=content_hash,
        now=icp.created_at,
    )
    await tx.execute(
        SQL.insert_rules,
        icp_id=icp.id,
        positions=list(range(len(icp.rules))),
        kinds=[rule.kind for rule in icp.rules],
        fields=[rule.field for rule in icp.rules],
        operators=[rule.operator for rule in icp.rules],
        values=[msgspec.json.encode(rule.value).decode() for rule in icp.rules],
        weights=[rule.weight for rule in icp.rules],
    )


async def find_versions(db: Reader, ids: Sequence[UUID]) -> list[Icp]:
    """Find versions by id; ids without one are left out."""
    return [_icp_of(row) for row in await db.fetch(SQL.find_versions, ids=list(ids))]


async def find_latest(db: Reader, profile_id: UUID) -> LatestVersion | None:
    """Find the newest version of a profile."""
    row = await db.fetch_one(SQL.find_latest, profile_id=profile_id)
    return LatestVersion(*row) if row else None


async def find_by_name(db: Reader, name: str) -> UUID | None:
    """Find the newest profile of a name."""
    profile_id: UUID | None = await db.fetch_value(SQL.find_by_name, name=name)
    return profile_id


async def find_profile(db: Reader, icp_id: UUID) -> UUID | None:
    """Find the profile that an id means: its own or a version's."""
    profile_id: UUID | None = await db.fetch_value(SQL.find_profile, id=icp_id)
    return profile_id


async def find_version(db: Reader, profile_id: UUID, version: int) -> UUID | None:
    """Find a version of a profile by its number."""
    version_id: UUID | None = await db.fetch_value(
        SQL.find_version, profile_id=profile_id, version=version
    )
    return version_id


async def find_ids(db: Reader, profile_id: UUID) -> tuple[UUID, ...]:
    """Find all versions of a profile."""
    rows = await db.fetch(SQL.find_ids, profile_id=profile_id)
    return tuple(row["id"] for row in rows)


async def list_latest(
    db: Reader, icp_filter: IcpFilter, before: UUID | None, limit: int
) -> list[Icp]:
    """List the newest version of each profile, newest profile first."""
    rows = await db.fetch(
        SQL.list_latest,
        before=before,
        limit=limit,
        part=icp_filter.name_part or None,
        is_archived=icp_filter.is_archived,
    )
    versions = await find_versions(db, [row["id"] for row in rows])
    return sorted(versions, key=lambda icp: icp.profile_id, reverse=True)


async def list_versions(db: Reader, profile_id: UUID, before: int | None, limit: int) -> list[Icp]:
    """List the versions of a profile, newest first, below a number."""
    rows = await db.fetch(SQL.list_versions, profile_id=profile_id, before=before, limit=limit)
    versions = await find_versions(db, [row["id"] for row in rows])
    return sorted(versions, key=lambda icp: icp.version, reverse=True)


async def find_running_search(db: Reader, profile_id: UUID) -> UUID | None:
    """Find a run that still searches for a profile."""
    run_id: UUID | None = await db.fetch_value(SQL.find_running_search, profile_id=profile_id)
    return run_id


async def archive(tx: Tx, profile_id: UUID, by: str, now: datetime) -> bool:
    """Archive a profile; False: it was archived before."""
    return await tx.fetch_value(SQL.archive, profile_id=profile_id, by=by, now=now) is not None


async def restore(tx: Tx, profile_id: UUID) -> bool:
    """Bring a profile back; False: it was not archived."""
    return await tx.fetch_value(SQL.restore, profile_id=profile_id) is not None


def _icp_of(row: Row) -> Icp:
    definition = msgspec.json.decode(row["definition"], type=Definition)
    return Icp(
        id=row["id"],
        profile_id=row["profile_id"],
        version=row["version"],
        name=row["name"],
        offer=row["offer"],
        autopilot=definition.autopilot,
        target=definition.target,
        bands=definition.bands,
        rules=msgspec.json.decode(row["rules"] or "[]", type=tuple[QualificationRule, ...]),
        created_at=row["created_at"],
        archived_at=row["archived_at"],
    )
