"""The rules of an ICP over HTTP: the whole list, or one of them by its position."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, patch, post, put
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.routes.icps import audit_change
from leadflood.api.services import Services
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
from leadflood.domain.icp.service.rule_changes import (
    append_rule,
    patch_rule,
    remove_rule,
    replace_rules,
)
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound, PreconditionFailed

Position = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
RuleList = Annotated[tuple[QualificationRule, ...], msgspec.Meta(max_length=500)]
Weight = Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)]
CHANGE_ERRORS = (Invalid, NotFound, Conflict, PreconditionFailed, Denied)


class RulesBody(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"
):
    """All rules, in order; `basedOnVersion` is the version its author saw (null does not ask).

    Without a WEIGHTED rule among them the target makes them.
    """

    rules: RuleList
    based_on_version: int | None = None


class RulePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A change of a rule; what is left out stays."""

    kind: RuleKind | UnsetType = UNSET
    field: RuleField | UnsetType = UNSET
    operator: Operator | UnsetType = UNSET
    value: RuleValue | UnsetType = UNSET
    weight: Weight | UnsetType = UNSET

    def fields(self) -> dict[str, Any]:
        """Return the fields that change."""
        fields = msgspec.structs.asdict(self)
        return {name: value for name, value in fields.items() if value is not UNSET}


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
        """Return the view of a version's rules."""
        return RulesView(id=icp.id, profile_id=icp.profile_id, version=icp.version, rules=icp.rules)


@get("/v1/icps/{icpId}/rules", permission="icps:read", errors=(NotFound,))
async def list_rules(icp_id: UUID, services: Services) -> RulesView:
    """Show the rules in force of a version, or of the newest version of an ICP."""
    return RulesView.of(await services.icps.get_any(icp_id))


@put("/v1/icps/{icpId}/rules", permission="icps:write", errors=CHANGE_ERRORS, takes_if_match=True)
async def replace_all_rules(
    icp_id: UUID, body: RulesBody, caller: Caller, services: Services, uow: UnitOfWork
) -> RulesView:
    """Put other rules in place of all; the ICP gets a new version."""
    expected = ExpectedVersion(version=body.based_on_version, if_match=caller.if_match)
    change = await services.icps.change_rules(uow.tx, icp_id, replace_rules(body.rules), expected)
    await audit_change(uow, change)
    return RulesView.of(change.icp)


@post(
    "/v1/icps/{icpId}/rules",
    permission="icps:write",
    status=HTTPStatus.CREATED,
    errors=CHANGE_ERRORS,
)
async def add_rule(
    icp_id: UUID, body: QualificationRule, caller: Caller, services: Services, uow: UnitOfWork
) -> RulesView:
    """Add a rule behind the others; the ICP gets a new version."""
    return await _change_rules(icp_id, append_rule(body), caller, services, uow)


@patch(
    "/v1/icps/{icpId}/rules/{position}",
    permission="icps:write",
    errors=CHANGE_ERRORS,
    takes_if_match=True,
)
async def change_rule(
    icp_id: UUID,
    position: Position,
    body: RulePatch,
    caller: Caller,
    services: Services,
    uow: UnitOfWork,
) -> RulesView:
    """Change the rule at a position; the ICP gets a new version."""
    return await _change_rules(icp_id, patch_rule(position, body.fields()), caller, services, uow)


@delete(
    "/v1/icps/{icpId}/rules/{position}",
    permission="icps:write",
    errors=CHANGE_ERRORS,
    takes_if_match=True,
)
async def drop_rule(
    icp_id: UUID, position: Position, caller: Caller, services: Services, uow: UnitOfWork
) -> RulesView:
    """Take the rule at a position away; the ICP gets a new version."""
    return await _change_rules(icp_id, remove_rule(position), caller, services, uow)


async def _change_rules(
    icp_id: UUID, change: RuleChange, caller: Caller, services: Services, uow: UnitOfWork
) -> RulesView:
    expected = ExpectedVersion(if_match=caller.if_match)
    version = await services.icps.change_rules(uow.tx, icp_id, change, expected)
    await audit_change(uow, version)
    return RulesView.of(version.icp)
