"""The rules of an ICP over HTTP: the whole list, or one of them by its place."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.routes.icps import audit_change
from leadflood.api.services import Node
from leadflood.domain.icp.schemas import (
    ExpectedVersion,
    Icp,
    Operator,
    QualificationRule,
    RuleField,
    RuleKind,
    RuleValue,
)
from leadflood.domain.icp.service.icps import RuleChange
from leadflood.engine.errors import Conflict, Invalid, NotFound, PreconditionFailed

Place = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Rules = Annotated[tuple[QualificationRule, ...], msgspec.Meta(max_length=500)]
Weight = Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)]


class RulesBody(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"
):
    """All rules, in order; `basedOnVersion` is the version its author saw (null does not ask).

    Without a WEIGHTED rule among them the target makes them.
    """

    rules: Rules
    based_on_version: int | None = None


class RulePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What changes of a rule; what is left out stays."""

    kind: RuleKind | UnsetType = UNSET
    field: RuleField | UnsetType = UNSET
    operator: Operator | UnsetType = UNSET
    value: RuleValue | UnsetType = UNSET
    weight: Weight | UnsetType = UNSET


class RulesView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The rules in force of a version; a rule's place in the list is its position, from 0.

    `id` names the version, `profileId` the ICP.
    """

    id: UUID
    profile_id: UUID
    version: int
    rules: tuple[QualificationRule, ...]

    @staticmethod
    def of(icp: Icp) -> "RulesView":
        """Show the rules of a version."""
        return RulesView(id=icp.id, profile_id=icp.profile_id, version=icp.version, rules=icp.rules)


class IcpRules:
    """The routes of rules. Each change is a new version of the ICP."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path = "/v1/icps/{icpId}/rules"
        one = path + "/{position}"
        changed = (Invalid, NotFound, Conflict, PreconditionFailed)
        return (
            Route(
                method="GET", path=path, handler=self.get, permission="icps:read",
                errors=(NotFound,),
            ),
            Route(
                method="PUT", path=path, handler=self.put, permission="icps:write",
                errors=changed, takes_if_match=True,
            ),
            Route(
                method="POST", path=path, handler=self.add, permission="icps:write",
                status=HTTPStatus.CREATED, errors=(Invalid, NotFound, Conflict),
            ),
            Route(
                method="PATCH", path=one, handler=self.change, permission="icps:write",
                errors=changed, takes_if_match=True,
            ),
            Route(
                method="DELETE", path=one, handler=self.drop, permission="icps:write",
                errors=changed, takes_if_match=True,
            ),
        )  # fmt: skip

    async def get(self, icp_id: UUID) -> RulesView:
        """Show the rules in force of a version, or of the newest version of an ICP."""
        return RulesView.of(await self._node.services.icps.get_any(icp_id))

    async def put(self, icp_id: UUID, body: RulesBody, caller: Caller) -> RulesView:
        """Put other rules in place of all; the ICP gets a new version."""
        seen = ExpectedVersion(version=body.based_on_version, if_match=caller.if_match)
        return await self._apply(icp_id, caller, lambda _rules: body.rules, seen)

    async def add(self, icp_id: UUID, body: QualificationRule, caller: Caller) -> RulesView:
        """Add a rule behind the others; the ICP gets a new version."""
        return await self._apply(icp_id, caller, lambda rules: (*rules, body))

    async def change(
        self, icp_id: UUID, position: Place, body: RulePatch, caller: Caller
    ) -> RulesView:
        """Change the rule at a position; the ICP gets a new version."""
        new = {
            name: value
            for name, value in msgspec.structs.asdict(body).items()
            if value is not UNSET
        }

        def patched(rules: tuple[QualificationRule, ...]) -> tuple[QualificationRule, ...]:
            rule = msgspec.structs.replace(_rule_at(rules, position), **new)
            return (*rules[:position], rule, *rules[position + 1 :])

        return await self._apply(icp_id, caller, patched)

    async def drop(self, icp_id: UUID, position: Place, caller: Caller) -> RulesView:
        """Take the rule at a position away; the ICP gets a new version."""

        def without(rules: tuple[QualificationRule, ...]) -> tuple[QualificationRule, ...]:
            _rule_at(rules, position)
            return (*rules[:position], *rules[position + 1 :])

        return await self._apply(icp_id, caller, without)

    async def _apply(
        self, icp_id: UUID, caller: Caller, change: RuleChange, seen: ExpectedVersion | None = None
    ) -> RulesView:
        icps = self._node.services.icps
        profile_id = await icps.profile_of(icp_id)
        before = await icps.find_latest(profile_id)
        asked = seen or ExpectedVersion(if_match=caller.if_match)

        async def do(uow: UnitOfWork) -> RulesView:
            icp = await icps.change_rules(uow.tx, profile_id, change, asked)
            await audit_change(uow, before, icp)
            return RulesView.of(icp)

        return await run_once(self._node.services, caller, RulesView, do)


def _rule_at(rules: tuple[QualificationRule, ...], position: int) -> QualificationRule:
    if position >= len(rules):
        raise NotFound(
            f"there is no rule at position {position}: this ICP has {len(rules)}, from 0",
            code="icp.rule.unknown",
        )
    return rules[position]
