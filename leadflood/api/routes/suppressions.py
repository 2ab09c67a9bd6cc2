"""The suppression list over HTTP: whom nothing is ever sent to.

Addresses are kept as keyed hashes.
"""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, make_page, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.suppressions.schemas import (
    AddedSuppression,
    LiftedSuppression,
    SuppressionInput,
    SuppressionKind,
    SuppressionView,
)
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound
from leadflood.engine.ids import NEWEST


class SuppressionQuery(
    Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which lines; null asks for nothing. `value` looks one up: give its kind too."""

    kind: SuppressionKind | None = None
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None


class LiftQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Whether sends that were cancelled as suppressed go after all."""

    restore_sends: bool = False


@get("/v1/suppressions", permission="messages:read", errors=(Invalid,))
async def list_suppressions(query: SuppressionQuery, services: Services) -> Listed[SuppressionView]:
    """List the suppression list, newest first, or look up one value."""
    if query.value is None:
        lines = await services.suppressions.list(
            kind=query.kind, before=query.position() or NEWEST, limit=query.fetch_limit
        )
        return paginate(lines, query)
    if query.kind is None:
        raise Invalid.field("kind", "say what the value is", code="http.query.invalid")
    line = await services.suppressions.find(query.kind, query.value)
    return make_page([] if line is None else [line], query)


@post(
    "/v1/suppressions",
    permission="messages:write",
    status=HTTPStatus.CREATED,
    errors=(Invalid, NotFound, Conflict, Denied),
)
async def add_suppression(
    body: SuppressionInput, caller: Caller, services: Services, uow: UnitOfWork
) -> AddedSuppression:
    """Stop writing to an address, a domain with all below it, a channel or a lead.

    What is on the list already keeps its line. A channel and a domain that is nobody's own need
    `admin:write` and `expectedCount`.
    """
    await services.suppressions.require_within_reach(uow.tx, body, caller.editor)
    line = await services.suppressions.add(uow, body, by=caller.by, source="api")
    await uow.audit(
        "suppression.added", line.id, kind=line.kind, hint=line.hint, lead_count=line.lead_count
    )
    return line


@delete(
    "/v1/suppressions/{suppressionId}",
    permission="admin:write",
    errors=(NotFound,),
)
async def lift_suppression(
    suppression_id: UUID, query: LiftQuery, caller: Caller, services: Services, uow: UnitOfWork
) -> LiftedSuppression:
    """Take a line off the list; who did it stays readable.

    With `restoreSends` what was cancelled as suppressed, is still useful and is stopped by no
    other line goes after all.
    """
    line = await services.suppressions.lift(uow.tx, suppression_id, caller.by)
    count = await services.suppressed_sends.restore(uow) if query.restore_sends else 0
    await uow.audit(
        "suppression.lifted", line.id, kind=line.kind, hint=line.hint, restored_sends=count
    )
    return LiftedSuppression(**msgspec.structs.asdict(line), restored_send_count=count)
