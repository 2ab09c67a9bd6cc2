"""ICPs over HTTP: the slice's own structs in camelCase."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.edge import Caller, Node
from leadflood.api.idempotency import remembered
from leadflood.api.listing import Listed, Paging, listed
from leadflood.api.route import Route
from leadflood.domain.icp.schemas import (
    Autopilot,
    Bands,
    Icp,
    IcpInput,
    QualificationRule,
    Size,
    Target,
)
from leadflood.engine.errors import Conflict, FieldProblem, Invalid, NotFound

Words = Annotated[str, msgspec.Meta(max_length=500)]


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
    """One version of an ICP; `id` names the version, `profileId` the ICP."""

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

    @staticmethod
    def of(icp: Icp) -> "IcpView":
        """Show an ICP."""
        return msgspec.convert(icp, IcpView, from_attributes=True)


class Icps:
    """The routes of ICPs."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path, one = "/v1/icps", "/v1/icps/{icpId}"
        return (
            Route(
                method="POST", path=path, handler=self.create, permission="icps:write",
                status=HTTPStatus.CREATED, errors=(Invalid,), is_idempotent=True,
            ),
            Route(method="GET", path=path, handler=self.list, permission="icps:read"),
            Route(
                method="GET", path=one, handler=self.get, permission="icps:read",
                errors=(NotFound,),
            ),
            Route(
                method="PUT", path=one, handler=self.update,
                permission="icps:write", errors=(Invalid, NotFound, Conflict),
            ),
        )  # fmt: skip

    async def create(self, body: IcpBody, caller: Caller) -> IcpView:
        """Write a new ICP."""
        given = body.as_input()
        storage = self._node.storage
        async with storage.db.transaction() as tx:
            async with remembered(tx, caller, IcpView, storage.clock) as memory:
                if memory.answer is None:
                    icp = await storage.icps.create(given, tx)
                    memory.answer = IcpView.of(icp)
            made: IcpView = memory.answer
        return made

    async def update(self, icp_id: UUID, body: IcpUpdate) -> IcpView:
        """Write the next version of an ICP; one that changes nothing is not written."""
        icps = self._node.storage.icps
        profile_id = (await self.get(icp_id)).profile_id
        return IcpView.of(await icps.update(profile_id, body.as_input(), body.based_on_version))

    async def get(self, icp_id: UUID) -> IcpView:
        """Show a version by its id, or the newest version by the ICP's."""
        icps = self._node.storage.icps
        icp = await icps.find(icp_id) or await icps.find_latest(icp_id)
        return IcpView.of(icp or await icps.get(icp_id))

    async def choose(self, icp_id: UUID | None) -> UUID:
        """Tell the version meant: the one named, by its own id or the ICP's, or the newest ICP.

        Raises: NotFound; Invalid when there is none at all.
        """
        icps = self._node.storage.icps
        if icp_id is not None:
            return (await self.get(icp_id)).id
        newest = await icps.list_latest(None, 1)
        if not newest:
            raise Invalid(
                "there is no ICP to score for: write one with POST /v1/icps",
                (FieldProblem("icpId", "there is no ICP yet"),),
                code="icp.profile.none",
            )
        return newest[0].id

    async def list(self, query: Paging) -> Listed[IcpView]:
        """List the newest version of each ICP, newest first."""
        before = query.place()
        icps = await self._node.storage.icps.list_latest(before, query.limit + 1)
        return listed([IcpView.of(icp) for icp in icps], query, lambda icp: icp.profile_id)
