"""ICPs over HTTP, and their versions."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, post, put
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.auth.schemas.field_rights import needs
from leadflood.domain.auth.schemas.roles import Permission
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
from leadflood.domain.icp.service.icps import WrittenVersion
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound, PreconditionFailed

Words = Annotated[str, msgspec.Meta(max_length=500)]
VersionNumber = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class TargetBody(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"
):
    """Whom we look for. Empty asks for nothing in particular; null leaves that end open.

    `countries`: names in any language, or codes; they are kept as codes of two letters.
    """

    titles: tuple[Words, ...] = ()
    industries: tuple[Words, ...] = ()
    countries: tuple[Words, ...] = ()
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
    autopilot: Annotated[Autopilot, needs(Permission.MESSAGES_SEND, "high")] = Autopilot.OFF
    target: TargetBody = TargetBody()
    bands: Bands = Bands()
    rules: Annotated[tuple[QualificationRule, ...], msgspec.Meta(max_length=500)] = ()

    def as_input(self) -> IcpInput:
        """Return it as the service takes it."""
        return IcpInput(
            name=self.name,
            offer=self.offer,
            autopilot=self.autopilot,
            target=msgspec.convert(self.target, Target, from_attributes=True),
            bands=self.bands,
            rules=self.rules,
        )


class IcpUpdate(IcpBody, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """The next version; `basedOnVersion` is the one its author saw (null does not ask)."""

    based_on_version: int | None = None


class PreviewedIcp(IcpBody, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """An ICP that is not saved: its `autopilot` sends nothing."""

    autopilot: Autopilot = Autopilot.OFF


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
        """Return the view of a version."""
        return msgspec.convert(icp, IcpView, from_attributes=True)


class IcpQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which ICPs: `q` is a part of the name; `archived` shows those that were put away."""

    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    archived: bool = False


@post("/v1/icps", permission="icps:write", status=HTTPStatus.CREATED, errors=(Invalid,))
async def create_icp(body: IcpBody, services: Services, uow: UnitOfWork) -> IcpView:
    """Write a new ICP."""
    icp = await services.icps.create(uow.tx, body.as_input())
    await uow.audit("icp.created", icp.profile_id, version=icp.version, name=icp.name)
    return IcpView.of(icp)


@get("/v1/icps", permission="icps:read")
async def list_icps(query: IcpQuery, services: Services) -> Listed[IcpView]:
    """List the newest version of each ICP, newest first."""
    icp_filter = IcpFilter(name_part=query.q.strip(), is_archived=query.archived)
    icps = await services.icps.list_latest(query.position(), query.fetch_limit, icp_filter)
    return paginate([IcpView.of(icp) for icp in icps], query, lambda icp: icp.profile_id)


@get("/v1/icps/{icpId}", permission="icps:read", errors=(NotFound,), shows_more=True)
async def get_icp(icp_id: UUID, services: Services) -> IcpView:
    """Show a version by its id, or the newest version by the ICP's."""
    return IcpView.of(await services.icps.get_any(icp_id))


@put(
    "/v1/icps/{icpId}",
    permission="icps:write",
    errors=(Invalid, NotFound, Conflict, PreconditionFailed),
    takes_if_match=True,
)
async def update_icp(
    icp_id: UUID, body: IcpUpdate, caller: Caller, services: Services, uow: UnitOfWork
) -> IcpView:
    """Write the next version of an ICP; one that changes nothing is not written."""
    expected = ExpectedVersion(version=body.based_on_version, if_match=caller.if_match)
    change = await services.icps.update(uow.tx, icp_id, body.as_input(), expected)
    await audit_change(uow, change)
    return IcpView.of(change.icp)


@delete(
    "/v1/icps/{icpId}",
    permission="icps:write",
    status=HTTPStatus.NO_CONTENT,
    errors=(NotFound, Conflict, PreconditionFailed),
    takes_if_match=True,
)
async def archive_icp(icp_id: UUID, caller: Caller, services: Services, uow: UnitOfWork) -> None:
    """Put an ICP away: no list shows it, nothing new starts for it; its scores stay.

    Doing it twice changes nothing. While a search for it goes on it is refused.
    """
    expected = ExpectedVersion(if_match=caller.if_match)
    profile_id = await services.icps.archive(uow.tx, icp_id, caller.by, expected)
    if profile_id is not None:
        await uow.audit("icp.archived", profile_id)


@delete("/v1/icps/{icpId}/archival", permission="icps:write", errors=(NotFound,))
async def restore_icp(icp_id: UUID, services: Services, uow: UnitOfWork) -> IcpView:
    """Bring an archived ICP back; one that is in use stays as it is."""
    change = await services.icps.restore(uow.tx, icp_id)
    _require_sender(uow.caller, change.icp)
    if change.is_new:
        await uow.audit("icp.restored", change.icp.profile_id)
    return IcpView.of(change.icp)


@get("/v1/icps/{icpId}/versions", permission="icps:read", errors=(NotFound,))
async def list_versions(icp_id: UUID, query: Paging, services: Services) -> Listed[IcpView]:
    """List the versions of an ICP, newest first."""
    before = query.position_in("version", int)
    icps = await services.icps.list_versions(icp_id, before, query.fetch_limit)
    views = [IcpView.of(icp) for icp in icps]
    return paginate(views, query, lambda icp: icp.version, sort="version")


@get(
    "/v1/icps/{icpId}/versions/{version}",
    permission="icps:read",
    errors=(NotFound,),
    shows_more=True,
)
async def get_version(icp_id: UUID, version: VersionNumber, services: Services) -> IcpView:
    """Show one version of an ICP by its number."""
    return IcpView.of(await services.icps.get_version(icp_id, version))


async def audit_change(uow: UnitOfWork, change: WrittenVersion) -> None:
    """Record that an ICP has a new version. Raises: Denied where it sends by itself."""
    icp = change.icp
    _require_sender(uow.caller, icp)
    if change.is_new:
        await uow.audit("icp.changed", icp.profile_id, version=icp.version, name=icp.name)


def _require_sender(caller: Caller, icp: Icp) -> None:
    """Refuse who changes whom an autopilot writes to without the right to send. Raises: Denied."""
    may_send = Permission.MESSAGES_SEND in caller.principal.permissions
    if icp.autopilot is not Autopilot.OFF and not may_send:
        raise Denied(
            f"this ICP sends by itself (autopilot): to change it needs {Permission.MESSAGES_SEND}",
            code="icp.autopilot.denied",
        )
