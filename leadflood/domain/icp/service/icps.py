"""ICPs: a change writes the next version; a version never changes."""

import hashlib
from collections.abc import Callable
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.domain.icp import repository
from leadflood.domain.icp.repository import LatestVersion
from leadflood.domain.icp.rules.default_rules import rules_in_force
from leadflood.domain.icp.rules.validation import check_icp
from leadflood.domain.icp.schemas import (
    ExpectedVersion,
    Icp,
    IcpFilter,
    IcpInput,
    QualificationRule,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, FieldProblem, Invalid, NotFound, PreconditionFailed
from leadflood.engine.ids import Ids

ANY_VERSION = ExpectedVersion()
IN_USE = IcpFilter()
Rules = tuple[QualificationRule, ...]
RuleChange = Callable[[Rules], Rules]
"""A function from the rules in force to the next ones."""


class WrittenVersion(msgspec.Struct, frozen=True):
    """The newest version after a change. Not `is_new`: it says the same as before."""

    icp: Icp
    is_new: bool


class IcpService:
    """The use cases of ICPs. An `icp_id` is the id of a profile or of one of its versions."""

    def __init__(self, db: Database, ids: Ids, clock: Clock) -> None:
        self._db = db
        self._ids = ids
        self._clock = clock

    async def create(self, tx: Tx, request: IcpInput) -> Icp:
        """Write version 1 of a new profile. Raises: Invalid."""
        request = await to_thread.run_sync(check_icp, request)
        return await self._write(tx, request, self._ids.new(), 1)

    async def update(
        self, tx: Tx, icp_id: UUID, request: IcpInput, expected: ExpectedVersion = ANY_VERSION
    ) -> WrittenVersion:
        """Write the next version of a profile; a change of nothing writes none.

        Raises: Invalid; NotFound; Conflict when the profile is archived or is at another version
        than `expected.version`; PreconditionFailed when at another than `expected.if_match`.
        """
        request = await to_thread.run_sync(check_icp, request)
        profile_id = await _get_profile(tx, icp_id)
        latest = await self._lock_latest(tx, profile_id, expected)
        return await self._write_next(tx, request, profile_id, latest)

    async def change_rules(
        self, tx: Tx, icp_id: UUID, change: RuleChange, expected: ExpectedVersion = ANY_VERSION
    ) -> WrittenVersion:
        """Write the next version with other rules, which `change` makes of those in force.

        Without a WEIGHTED one among them the target's rules come into force again.
        Raises: as `update`, and what `change` raises.
        """
        profile_id = await _get_profile(tx, icp_id)
        latest = await self._lock_latest(tx, profile_id, expected)
        icp = await _get_version(tx, latest.icp_id)
        request = IcpInput(
            name=icp.name,
            offer=icp.offer,
            autopilot=icp.autopilot,
            target=icp.target,
            bands=icp.bands,
            rules=change(icp.rules),
        )
        request = await to_thread.run_sync(check_icp, request)
        return await self._write_next(tx, request, profile_id, latest)

    async def archive(
        self, tx: Tx, icp_id: UUID, by: str, expected: ExpectedVersion = ANY_VERSION
    ) -> UUID | None:
        """Archive a profile: no list shows it, nothing new starts for it; its scores stay.

        Returns the profile's id; None when it was archived before.
        Raises: NotFound; PreconditionFailed; Conflict while a search for it goes on.
        """
        profile_id = await _get_profile(tx, icp_id)
        await self._lock_latest(tx, profile_id, expected, may_be_archived=True)
        run_id = await repository.find_running_search(tx, profile_id)
        if run_id is not None:
            raise Conflict(
                f"search run {run_id} goes on for this ICP: cancel it or wait for its end",
                code="icp.profile.in_use",
            )
        is_new = await repository.archive(tx, profile_id, by, self._clock.now())
        return profile_id if is_new else None

    async def restore(self, tx: Tx, icp_id: UUID) -> WrittenVersion:
        """Bring an archived profile back. Not `is_new`: it was not archived. Raises: NotFound."""
        profile_id = await _get_profile(tx, icp_id)
        latest = await self._lock_latest(tx, profile_id, ANY_VERSION, may_be_archived=True)
        is_new = await repository.restore(tx, profile_id)
        return WrittenVersion(await _get_version(tx, latest.icp_id), is_new)

    async def record(self, request: IcpInput) -> Icp:
        """Find the version that says exactly this under its name, else write it.

        For files: the same file gives the same version, a changed one the next version.
        Raises: Invalid.
        """
        request = await to_thread.run_sync(check_icp, request)
        async with self._db.transaction() as tx:
            await repository.lock_profile(tx, request.name.lower())
            profile_id = await repository.find_by_name(tx, request.name)
            if profile_id is None:
                return await self._write(tx, request, self._ids.new(), 1)
            latest = await self._lock_latest(tx, profile_id, ANY_VERSION, may_be_archived=True)
            return (await self._write_next(tx, request, profile_id, latest)).icp

    async def resolve_version(self, icp_id: UUID | None, tx: Tx | None = None) -> UUID:
        """Return the id of the version meant: the one named, or the newest profile's newest.

        A caller with an open transaction passes it, or it would hold two connections of the pool.
        Raises: NotFound; Conflict when it is archived; Invalid when there is none at all.
        """
        db = self._db if tx is None else tx
        if icp_id is not None:
            icp = await _get_any(db, icp_id)
            if icp.archived_at is not None:
                raise _archived(icp.profile_id)
            return icp.id
        newest = await repository.list_latest(db, IN_USE, None, 1)
        if not newest:
            raise Invalid(
                "there is no ICP to score for: write one with POST /v1/icps",
                (FieldProblem("icpId", "there is no ICP yet"),),
                code="icp.profile.not_found",
            )
        return newest[0].id

    async def get_any(self, icp_id: UUID) -> Icp:
        """Return a version by its own id, or the newest version by the profile's.

        Raises: NotFound.
        """
        return await _get_any(self._db, icp_id)

    async def find(self, icp_id: UUID) -> Icp | None:
        """Find a version by its own id."""
        return await _find_version(self._db, icp_id)

    async def get(self, icp_id: UUID) -> Icp:
        """Return a version by its own id. Raises: NotFound."""
        return await _get_version(self._db, icp_id)

    async def get_version(self, icp_id: UUID, version: int) -> Icp:
        """Return a version of a profile by its number. Raises: NotFound."""
        profile_id = await self.profile_of(icp_id)
        version_id = await repository.find_version(self._db, profile_id, version)
        if version_id is None:
            raise NotFound(
                f"ICP {profile_id} has no version {version}: list its versions",
                code="icp.version.not_found",
            )
        return await self.get(version_id)

    async def list_latest(
        self, before: UUID | None = None, limit: int = 50, icp_filter: IcpFilter = IN_USE
    ) -> list[Icp]:
        """List the newest version of each profile, newest first; `before` is a profile's id."""
        return await repository.list_latest(self._db, icp_filter, before, limit)

    async def list_versions(
        self, icp_id: UUID, before: int | None = None, limit: int = 50
    ) -> list[Icp]:
        """List the versions of a profile below a number, newest first. Raises: NotFound."""
        profile_id = await self.profile_of(icp_id)
        return await repository.list_versions(self._db, profile_id, before, limit)

    async def profile_of(self, icp_id: UUID) -> UUID:
        """Return the profile that an id means: its own or that of a version. Raises: NotFound."""
        return await _get_profile(self._db, icp_id)

    async def versions_of(self, profile_id: UUID) -> tuple[UUID, ...]:
        """List the ids of all versions of a profile."""
        return await repository.find_ids(self._db, profile_id)

    async def complete(self, request: IcpInput) -> IcpInput:
        """Return an ICP as it would be written, with the rules in force. Raises: Invalid."""
        request = await to_thread.run_sync(check_icp, request)
        return msgspec.structs.replace(request, rules=rules_in_force(request))

    async def _lock_latest(
        self, tx: Tx, profile_id: UUID, expected: ExpectedVersion, *, may_be_archived: bool = False
    ) -> LatestVersion:
        await repository.lock_profile(tx, str(profile_id))
        latest = await repository.find_latest(tx, profile_id)
        if latest is None:
            raise _not_found(profile_id)
        _require_version(latest.version, expected)
        if latest.is_archived and not may_be_archived:
            raise _archived(profile_id)
        return latest

    async def _write_next(
        self, tx: Tx, request: IcpInput, profile_id: UUID, latest: LatestVersion
    ) -> WrittenVersion:
        if latest.content_hash == content_hash(request):
            return WrittenVersion(await _get_version(tx, latest.icp_id), is_new=False)
        icp = await self._write(tx, request, profile_id, latest.version + 1)
        return WrittenVersion(icp, is_new=True)

    async def _write(self, tx: Tx, request: IcpInput, profile_id: UUID, version: int) -> Icp:
        icp = Icp(
            id=self._ids.new(),
            profile_id=profile_id,
            version=version,
            name=request.name,
            offer=request.offer,
            autopilot=request.autopilot,
            target=request.target,
            bands=request.bands,
            rules=rules_in_force(request),
            created_at=self._clock.now(),
        )
        await repository.record_version(tx, icp, content_hash(request))
        return icp


def content_hash(request: IcpInput) -> bytes:
    """Return a hash of what an ICP says, rules in force included: equal contents, equal hash."""
    complete = msgspec.structs.replace(request, rules=rules_in_force(request))
    return hashlib.sha256(msgspec.json.encode(complete)).digest()


async def _find_version(db: Reader, icp_id: UUID) -> Icp | None:
    versions = await repository.find_versions(db, [icp_id])
    return versions[0] if versions else None


async def _find_latest(db: Reader, profile_id: UUID) -> Icp | None:
    latest = await repository.find_latest(db, profile_id)
    return await _get_version(db, latest.icp_id) if latest else None


async def _get_any(db: Reader, icp_id: UUID) -> Icp:
    icp = await _find_version(db, icp_id) or await _find_latest(db, icp_id)
    if icp is None:
        raise _not_found(icp_id)
    return icp


async def _get_version(db: Reader, icp_id: UUID) -> Icp:
    icp = await _find_version(db, icp_id)
    if icp is None:
        raise _not_found(icp_id)
    return icp


async def _get_profile(db: Reader, icp_id: UUID) -> UUID:
    profile_id = await repository.find_profile(db, icp_id)
    if profile_id is None:
        raise _not_found(icp_id)
    return profile_id


def _require_version(version: int, expected: ExpectedVersion) -> None:
    if expected.if_match not in (None, version):
        raise PreconditionFailed(
            f"this ICP is at version {version}, not {expected.if_match}",
            code="icp.profile.version_conflict",
        )
    if expected.version not in (None, version):
        raise Conflict(
            f"version {version} of this ICP was written after version {expected.version}:"
            " read it and make the change again",
            code="icp.profile.version_conflict",
        )


def _archived(profile_id: UUID) -> Conflict:
    return Conflict(
        f"ICP {profile_id} is archived: bring it back with DELETE /v1/icps/{profile_id}/archival",
        code="icp.profile.archived",
    )


def _not_found(icp_id: UUID) -> NotFound:
    return NotFound(
        f"there is no ICP {icp_id}: list the ICPs for their ids", code="icp.profile.not_found"
    )
