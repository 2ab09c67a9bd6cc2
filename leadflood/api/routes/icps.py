"""ICPs over HTTP: the slice's own structs in camelCase."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, make_page
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.icp.schemas import (
    Autopilot,
    Bands,
    ExpectedVersion,
    Icp,
    IcpFilter,
    IcpInput,
    QualificationRule,
    Size,
    Target,
)
from leadflood.engine.errors import Conflict, Invalid, NotFound, PreconditionFailed

Words = Annotated[str, msgspec.Meta(max_length=500)]
VersionNumber = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class TargetBody(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"
):
    """Whom we look for. Empty asks for nothing in particular; null leaves that end open."""

    titles: tuple[Words, ...] = ()
    industries: tuple[Words, ...] = ()
    countries: tuple[Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")], ...] = ()
    technologies: tuple[Words, ...] = ()
    company_size_min: Size | None = None
    company_size_max: Size | None = None
    keywords: Words = ""


class IcpBody(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"
):
    """An ICP as a person writes it. Without WEIGHTED rules the target makes them."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    offer: Annotated[str, msgspec.Meta(max_length=5_000)] = ""
    autopilot: Autopilot = Autopilot.OFF
    target: TargetBody = TargetBody()
    bands: Bands = Bands()
    rules: Annotated[tuple[QualificationRule, ...], msgspec.Meta(max_length=500)] = ()

    def as_input(self) -> IcpInput:
        """Say it in the slice's words."""
        return IcpInput(
            name=self.name, offer=self.offer, autopilot=self.autopilot,
            target=msgspec.convert(self.target, Target, from_attributes=True),
            bands=self.bands, rules=self.rules,
        )  # fmt: skip


class IcpUpdate(IcpBody, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """The next version; `basedOnVersion` is the one its author saw (null does not ask)."""

    based_on_version: int | None = None


class IcpView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One version of an ICP; `id` names the version, `profileId` the ICP.

    `rules` are those in force: without a WEIGHTED one of its author the target's. `archivedAt`
    null: it is in use.
    """

    id: UUID
    profile_id: UUID
    version: int
    name: str
    offer: str
    autopilot: Autopilot
    target: TargetBody
    bands: Bands
    rules: tuple[QualificationRule, ...]
    created_at: datetime
    archived_at: datetime | None = None

    @staticmethod
    def of(icp: Icp) -> "IcpView":
        """Show an ICP."""
        return msgspec.convert(icp, IcpView, from_attributes=True)


class IcpQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which ICPs: `q` is a part of the name; `archived` shows those that were put away."""

    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    archived: bool = False


class Icps:
    """The routes of ICPs and of their versions."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path, one = "/v1/icps", "/v1/icps/{icpId}"
        versions, archival = f"{one}/versions", f"{one}/archival"
        missing = (NotFound,)
        changed = (Invalid, NotFound, Conflict, PreconditionFailed)
        return (
            Route(
                method="POST", path=path, handler=self.create, permission="icps:write",
                status=HTTPStatus.CREATED, errors=(Invalid,),
            ),
            Route(method="GET", path=path, handler=self.list, permission="icps:read"),
            Route(
                method="GET", path=one, handler=self.get, permission="icps:read", errors=missing,
                shows_more=True,
            ),
            Route(
                method="PUT", path=one, handler=self.update, permission="icps:write",
                errors=changed, takes_if_match=True,
            ),
            Route(
                method="DELETE", path=one, handler=self.archive, permission="icps:write",
                status=HTTPStatus.NO_CONTENT, errors=(NotFound, Conflict, PreconditionFailed),
                takes_if_match=True,
            ),
            Route(
                method="DELETE", path=archival, handler=self.restore, permission="icps:write",
                errors=missing,
            ),
            Route(
                method="GET", path=versions, handler=self.versions, permission="icps:read",
                errors=missing,
            ),
            Route(
                method="GET", path=versions + "/{version}", handler=self.version,
                permission="icps:read", errors=missing, shows_more=True,
            ),
        )  # fmt: skip

    async def create(self, body: IcpBody, caller: Caller) -> IcpView:
        """Write a new ICP."""
        given = body.as_input()

        async def do(uow: UnitOfWork) -> IcpView:
            icp = await self._node.services.icps.create(given, uow.tx)
            await uow.record(entry_of("icp.created", icp))
            return IcpView.of(icp)

        return await run_once(self._node.services, caller, IcpView, do)

    async def update(self, icp_id: UUID, body: IcpUpdate, caller: Caller) -> IcpView:
        """Write the next version of an ICP; one that changes nothing is not written."""
        icps = self._node.services.icps
        profile_id = await icps.profile_of(icp_id)
        given = body.as_input()
        before = await icps.find_latest(profile_id)
        seen = ExpectedVersion(version=body.based_on_version, if_match=caller.if_match)

        async def do(uow: UnitOfWork) -> IcpView:
            icp = await icps.update(profile_id, given, seen=seen, tx=uow.tx)
            await audit_change(uow, before, icp)
            return IcpView.of(icp)

        return await run_once(self._node.services, caller, IcpView, do)

    async def archive(self, icp_id: UUID, caller: Caller) -> None:
        """Put an ICP away: no list shows it, nothing new starts for it; its scores stay.

        Doing it twice changes nothing. While a search for it goes on it is refused.
        """
        icps = self._node.services.icps
        profile_id = await icps.profile_of(icp_id)

        async def do(uow: UnitOfWork) -> None:
            seen = ExpectedVersion(if_match=caller.if_match)
            if await icps.archive(uow.tx, profile_id, caller.by, seen):
                await uow.record(_about("icp.archived", profile_id))

        await run_once(self._node.services, caller, type(None), do)

    async def restore(self, icp_id: UUID, caller: Caller) -> IcpView:
        """Bring an archived ICP back; one that is in use stays as it is."""
        icps = self._node.services.icps
        profile_id = await icps.profile_of(icp_id)

        async def do(uow: UnitOfWork) -> None:
            if await icps.restore(uow.tx, profile_id):
                await uow.record(_about("icp.restored", profile_id))

        await run_once(self._node.services, caller, type(None), do)
        return await self.get(profile_id)

    async def get(self, icp_id: UUID) -> IcpView:
        """Show a version by its id, or the newest version by the ICP's."""
        return IcpView.of(await self._node.services.icps.get_any(icp_id))

    async def list(self, query: IcpQuery) -> Listed[IcpView]:
        """List the newest version of each ICP, newest first."""
        wanted = IcpFilter(name_part=query.q.strip(), is_archived=query.archived)
        found = await self._node.services.icps.list_latest(
            query.position(), query.fetch_limit, wanted
        )
        shown = [IcpView.of(icp) for icp in query.skip(found)]
        return make_page(shown, query, lambda icp: icp.profile_id)

    async def versions(self, icp_id: UUID, query: Paging) -> Listed[IcpView]:
        """List the versions of an ICP, newest first."""
        icps = self._node.services.icps
        profile_id = await icps.profile_of(icp_id)
        before = query.position_in("version", int)
        found = await icps.list_versions(profile_id, before, query.fetch_limit)
        shown = [IcpView.of(icp) for icp in query.skip(found)]
        return make_page(shown, query, lambda icp: icp.version, sort="version")

    async def version(self, icp_id: UUID, version: VersionNumber) -> IcpView:
        """Show one version of an ICP by its number."""
        icps = self._node.services.icps
        return IcpView.of(await icps.get_version(await icps.profile_of(icp_id), version))


async def audit_change(uow: UnitOfWork, before: Icp | None, after: Icp) -> None:
    """Write down that an ICP has a new version; one that says the same is none."""
    if before is None or before.id != after.id:
        await uow.record(entry_of("icp.changed", after))


def entry_of(action: str, icp: Icp) -> AuditEntry:
    """Say what was done to an ICP."""
    return AuditEntry(
        action=action,
        subject_kind="icp",
        subject_id=str(icp.profile_id),
        detail={"version": icp.version, "name": icp.name},
    )


def _about(action: str, profile_id: UUID) -> AuditEntry:
    return AuditEntry(action=action, subject_kind="icp", subject_id=str(profile_id))
