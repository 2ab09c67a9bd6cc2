"""Writing and finding ICPs; a change is a new version."""

import hashlib
from uuid import UUID

import msgspec

from leadflood.domain.icp import store
from leadflood.domain.icp.rules import check_icp, rules_in_force
from leadflood.domain.icp.schemas import Icp, IcpInput
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, NotFound
from leadflood.engine.ids import Ids


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
        self, profile_id: UUID, given: IcpInput, based_on_version: int | None = None
    ) -> Icp:
        """Write the next version of a profile; one that changes nothing is not written.

        `based_on_version` is the version its author saw; None does not ask.
        Raises: Invalid; NotFound; Conflict when somebody else wrote a newer version meanwhile.
        """
        check_icp(given)
        async with self._db.transaction() as tx:
            await store.lock_profile(tx, str(profile_id))
            latest = await store.find_latest(tx, profile_id)
            if latest is None:
                raise _unknown(profile_id)
            if based_on_version not in (None, latest.version):
                raise Conflict(
                    f"version {latest.version} of this ICP was written after version"
                    f" {based_on_version}: read it and make the change again",
                    code="icp.profile.changed",
                )
            return await self._write_next(tx, given, profile_id, latest)

    async def record(self, given: IcpInput) -> Icp:
        """Find the version that says exactly this under its name, else write it.

        For files: the same file gives the same version, a changed one the next version.
        Raises: Invalid.
        """
        check_icp(given)
        async with self._db.transaction() as tx:
            await store.lock_profile(tx, given.name.lower())
            profile_id = await store.find_by_name(tx, given.name)
            if profile_id is None:
                return await self._write(tx, given, self._ids.new(), 1)
            await store.lock_profile(tx, str(profile_id))
            latest = await store.find_latest(tx, profile_id)
            if latest is None:
                raise _unknown(profile_id)
            return await self._write_next(tx, given, profile_id, latest)

    async def find(self, icp_id: UUID) -> Icp | None:
        """Find a version by its id."""
        found = await store.find_versions(self._db, [icp_id])
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
        latest = await store.find_latest(self._db, profile_id)
        return await self.get(latest.icp_id) if latest else None

    async def list_latest(self, before: UUID | None = None, limit: int = 50) -> list[Icp]:
        """List the newest version of each profile, newest first; `before` is a profile's id."""
        return await store.list_latest(self._db, before, limit)

    async def _write_next(
        self, tx: Tx, given: IcpInput, profile_id: UUID, latest: store.Latest
    ) -> Icp:
        if latest.content_hash == content_hash(given):
            return (await store.find_versions(tx, [latest.icp_id]))[0]
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
        await store.record_version(tx, icp, content_hash(given))
        return icp


def content_hash(given: IcpInput) -> bytes:
    """Name what an ICP says, rules in force included: equal contents, equal hash."""
    whole = msgspec.structs.replace(given, rules=rules_in_force(given))
    return hashlib.sha256(msgspec.json.encode(whole)).digest()


def _unknown(asked: UUID) -> NotFound:
    return NotFound(
        f"there is no ICP {asked}: list the ICPs for their ids", code="icp.profile.unknown"
    )
