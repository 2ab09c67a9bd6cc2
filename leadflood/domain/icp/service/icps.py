"""Writing and finding ICPs; a change is a new version."""

import hashlib
from collections.abc import Callable
from uuid import UUID

import msgspec

from leadflood.domain.icp import repository
from leadflood.domain.icp.rules.validation import check_icp, rules_in_force
from leadflood.domain.icp.schemas import (
    ExpectedVersion,
    Icp,
    IcpFilter,
    IcpInput,
    QualificationRule,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, FieldProblem, Invalid, NotFound, PreconditionFailed
from leadflood.engine.ids import Ids

ANY_VERSION = ExpectedVersion()
IN_USE = IcpFilter()
RuleChange = Callable[[tuple[QualificationRule, ...]], tuple[QualificationRule, ...]]
"""What becomes of the rules in force."""


class IcpService:
    """The use cases of ICPs."""

    def __init__(self, db: Database, ids: Ids, clock: Clock) -> None:
        self._db = db
        self._ids = ids
        self._clock = clock

    async def create(self, given: IcpInput, tx: Tx | None = None) -> Icp:
        """Write version 1 of a new profile; `tx` None opens a transaction of its own.

        Raises: Invalid.
        """
        check_icp(given)
        if tx is not None:
            return await self._write(tx, given, self._ids.new(), 1)
        async with self._db.transaction() as own:
            return await self._write(own, given, self._ids.new(), 1)

    async def update(
        self,
        profile_id: UUID,
        given: IcpInput,
        based_on_version: int | None = None,
        *,
        seen: ExpectedVersion = ANY_VERSION,
        tx: Tx | None = None,
    ) -> Icp:
        """Write the next version of a profile; one that changes nothing is not written.

        `based_on_version` is the version its author saw; None does not ask. `tx` None opens a
        transaction of its own.
        Raises: Invalid; NotFound; Conflict when it is archived, or somebody else wrote a newer
        version meanwhile; PreconditionFailed when that was asked by `seen.if_match`.
        """
        check_icp(given)
        if based_on_version is not None:
            seen = msgspec.structs.replace(seen, version=based_on_version)
        if tx is not None:
            return await self._update(tx, profile_id, given, seen)
        async with self._db.transaction() as own:
            return await self._update(own, profile_id, given, seen)

    async def change_rules(
        self, tx: Tx, profile_id: UUID, change: RuleChange, seen: ExpectedVersion = ANY_VERSION
    ) -> Icp:
        """Write the next version with other rules; `change` is given those in force.

        Without a WEIGHTED one among them the target's rules come into force again.
        Raises: as `update`, and what `change` raises.
        """
        latest = await self._lock_latest(tx, profile_id, seen)
        now = (await repository.find_versions(tx, [latest.icp_id]))[0]
        given = IcpInput(
            name=now.name,
            offer=now.offer,
            autopilot=now.autopilot,
            target=now.target,
            bands=now.bands,
            rules=change(now.rules),
        )
        check_icp(given)
        return await self._write_next(tx, given, profile_id, latest)

    async def archive(
        self, tx: Tx, profile_id: UUID, by: str, seen: ExpectedVersion = ANY_VERSION
    ) -> bool:
        """Put a profile away: no list shows it, nothing new starts for it; its scores stay.

        False: it was away already. Raises: NotFound; Conflict while a search for it goes on.
        """
        await self._lock_latest(tx, profile_id, seen, even_archived=True)
        at_work = await repository.find_running_search(tx, profile_id)
        if at_work is not None:
            raise Conflict(
                f"search run {at_work} goes on for this ICP: cancel it or wait for its end",
                code="icp.profile.in_use",
            )
        return await repository.archive(tx, profile_id, by, self._clock.now())

    async def restore(self, tx: Tx, profile_id: UUID) -> bool:
        """Bring a profile back; False: it was not away. Raises: NotFound."""
        await self._lock_latest(tx, profile_id, ANY_VERSION, even_archived=True)
        return await repository.restore(tx, profile_id)

    async def get_any(self, icp_id: UUID) -> Icp:
        """Return a version by its own id, or the newest version by the profile's.

        Raises: NotFound.
        """
        icp = await self.find(icp_id) or await self.find_latest(icp_id)
        return icp or await self.get(icp_id)

    async def resolve_version(self, icp_id: UUID | None) -> UUID:
        """Return the id of the version meant: the one named, or the newest profile's newest.

        Raises: NotFound; Conflict when it is archived; Invalid when there is none at all.
        """
        if icp_id is not None:
            icp = await self.get_any(icp_id)
            if icp.archived_at is not None:
                raise Conflict(
                    f"ICP {icp.profile_id} is archived: bring it back with"
                    f" DELETE /v1/icps/{icp.profile_id}/archival",
                    code="icp.profile.archived",
                )
            return icp.id
        newest = await self.list_latest(None, 1)
        if not newest:
            raise Invalid(
                "there is no ICP to score for: write one with POST /v1/icps",
                (FieldProblem("icpId", "there is no ICP yet"),),
                code="icp.profile.none",
            )
        return newest[0].id

    async def record(self, given: IcpInput) -> Icp:
        """Find the version that says exactly this under its name, else write it.

        For files: the same file gives the same version, a changed one the next version.
        Raises: Invalid.
        """
        check_icp(given)
        async with self._db.transaction() as tx:
            await repository.lock_profile(tx, given.name.lower())
            profile_id = await repository.find_by_name(tx, given.name)
            if profile_id is None:
                return await self._write(tx, given, self._ids.new(), 1)
            await repository.lock_profile(tx, str(profile_id))
            latest = await repository.find_latest(tx, profile_id)
            if latest is None:
                raise _unknown(profile_id)
            return await self._write_next(tx, given, profile_id, latest)

    async def find(self, icp_id: UUID) -> Icp | None:
        """Find a version by its id."""
        found = await repository.find_versions(self._db, [icp_id])
        return found[0] if found else None

    async def get(self, icp_id: UUID) -> Icp:
        """Get a version by its id.

        Raises: NotFound.
        """
        found = await self.find(icp_id)
        if found is None:
            raise _unknown(icp_id)
        return found

    async def find_latest(self, profile_id: UUID) -> Icp | None:
        """Find the newest version of a profile."""
        latest = await repository.find_latest(self._db, profile_id)
        return await self.get(latest.icp_id) if latest else None

    def rules_of(self, given: IcpInput) -> tuple[QualificationRule, ...]:
        """Tell which rules an ICP that is not written yet would score by. Raises: Invalid."""
        check_icp(given)
        return rules_in_force(given)

    async def profile_of(self, icp_id: UUID) -> UUID:
        """Tell which profile an id means: its own or that of a version. Raises: NotFound."""
        found = await repository.find_profile(self._db, icp_id)
        if found is None:
            raise _unknown(icp_id)
        return found

    async def versions_of(self, profile_id: UUID) -> tuple[UUID, ...]:
        """List the ids of all versions of a profile."""
        return await repository.find_ids(self._db, profile_id)

    async def get_version(self, profile_id: UUID, version: int) -> Icp:
        """Get a version of a profile by its number. Raises: NotFound."""
        icp_id = await repository.find_version(self._db, profile_id, version)
        if icp_id is None:
            raise NotFound(
                f"ICP {profile_id} has no version {version}: list its versions",
                code="icp.version.unknown",
            )
        return await self.get(icp_id)

    async def list_latest(
        self, before: UUID | None = None, limit: int = 50, wanted: IcpFilter = IN_USE
    ) -> list[Icp]:
        """List the newest version of each profile, newest first; `before` is a profile's id."""
        return await repository.list_latest(self._db, wanted, before, limit)

    async def list_versions(
        self, profile_id: UUID, before: int | None = None, limit: int = 50
    ) -> list[Icp]:
        """List the versions of a profile, newest first, below a number."""
        return await repository.list_versions(self._db, profile_id, before, limit)

    async def _update(
        self, tx: Tx, profile_id: UUID, given: IcpInput, seen: ExpectedVersion
    ) -> Icp:
        latest = await self._lock_latest(tx, profile_id, seen)
        return await self._write_next(tx, given, profile_id, latest)

    async def _lock_latest(
        self, tx: Tx, profile_id: UUID, seen: ExpectedVersion, *, even_archived: bool = False
    ) -> repository.LatestVersion:
        await repository.lock_profile(tx, str(profile_id))
        latest = await repository.find_latest(tx, profile_id)
        if latest is None:
            raise _unknown(profile_id)
        if seen.if_match not in (None, latest.version):
            raise PreconditionFailed(
                f"this ICP is at version {latest.version}, not {seen.if_match}",
                code="icp.profile.changed",
            )
        if seen.version not in (None, latest.version):
            raise Conflict(
                f"version {latest.version} of this ICP was written after version"
                f" {seen.version}: read it and make the change again",
                code="icp.profile.changed",
            )
        if latest.is_archived and not even_archived:
            raise archived(profile_id)
        return latest

    async def _write_next(
        self, tx: Tx, given: IcpInput, profile_id: UUID, latest: repository.LatestVersion
    ) -> Icp:
        if latest.content_hash == content_hash(given):
            return (await repository.find_versions(tx, [latest.icp_id]))[0]
        return await self._write(tx, given, profile_id, latest.version + 1)

    async def _write(self, tx: Tx, given: IcpInput, profile_id: UUID, version: int) -> Icp:
        icp = Icp(
            id=self._ids.new(),
            profile_id=profile_id,
            version=version,
            name=given.name,
            offer=given.offer,
            autopilot=given.autopilot,
            target=given.target,
            bands=given.bands,
            rules=rules_in_force(given),
            created_at=self._clock.now(),
        )
        await repository.record_version(tx, icp, content_hash(given))
        return icp


def content_hash(given: IcpInput) -> bytes:
    """Name what an ICP says, rules in force included: equal contents, equal hash."""
    whole = msgspec.structs.replace(given, rules=rules_in_force(given))
    return hashlib.sha256(msgspec.json.encode(whole)).digest()


def archived(profile_id: UUID) -> Conflict:
    """Say that an ICP was put away."""
    return Conflict(
        f"ICP {profile_id} is archived: bring it back with DELETE /v1/icps/{profile_id}/archival",
        code="icp.profile.archived",
    )


def _unknown(asked: UUID) -> NotFound:
    return NotFound(
        f"there is no ICP {asked}: list the ICPs for their ids", code="icp.profile.unknown"
    )
