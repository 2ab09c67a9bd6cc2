"""The suppression list over HTTP: whom nothing is ever sent to.

Addresses are kept as keyed hashes.
"""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, make_page, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import Streamed
from leadflood.api.http.routing import delete, get, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.suppressions.schemas import (
    AddedLines,
    AddedSuppression,
    BulkSuppressions,
    LiftedSuppression,
    SuppressionInput,
    SuppressionKind,
    SuppressionView,
    WrittenLine,
)
from leadflood.domain.suppressions.service.batches import LineAuthor
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound, Throttled
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


@post(
    "/v1/suppressions/bulk",
    permission="messages:write",
    rate="heavy",
    errors=(Invalid,),
)
async def add_suppressions(
    body: BulkSuppressions, caller: Caller, services: Services, uow: UnitOfWork
) -> AddedLines:
    """Stop writing to up to 10,000 addresses, numbers, domains, channels or leads at once.

    Each item gets its answer, in its place: `added`, `known` or `refused`, with why. What one line
    needs an item needs too: a channel and a domain that is nobody's own `admin:write` and
    `expectedCount`, of these at most 20 a call; who sees only their own leads stops no domain.
    """
    lines = [
        WrittenLine(
            value=item.value,
            kind=item.kind,
            reason=item.reason or "",
            expected_count=item.expected_count,
        )
        for item in body.items
    ]
    author = LineAuthor(
        by=caller.by,
        source="api",
        reason=body.reason,
        may_be_broad=Permission.ADMIN_WRITE in caller.principal.permissions,
        visibility=caller.visibility,
    )
    added = await services.suppression_batches.add(uow, lines, author)
    await uow.audit(
        "suppression.added_many", added=added.added, known=added.known, refused=added.refused
    )
    return added


@get(
    "/v1/suppressions/export",
    permission="admin:read",
    rate="heavy",
    errors=(Throttled,),
    content_type="text/csv",
)
async def export_suppressions(services: Services, caller: Caller) -> Streamed:
    """Export the suppression list as CSV, newest first; `leadflood suppress import` reads it.

    Only keyed hashes are kept: the value of a line is given where a lead has the address; any other
    line has its hash, which counts under the same master secret alone.
    """
    day = services.clock.now().date().isoformat()
    return Streamed(
        pieces=services.suppression_exports.export(caller.actor),
        content_type="text/csv; charset=utf-8",
        file_name=f"suppressions-{day}.csv",
    )


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
