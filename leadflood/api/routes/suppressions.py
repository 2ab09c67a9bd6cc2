"""The suppression list over HTTP: whom nothing is ever sent to. Only keyed hashes are kept."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, listed
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.domain.accounts.schemas import AuditEntry
from leadflood.domain.messaging.schemas import SuppressionInput, SuppressionKind, SuppressionView
from leadflood.engine.errors import Conflict, FieldProblem, Invalid, NotConfigured, NotFound

NEWEST = UUID(int=2**128 - 1)


class SuppressionQuery(
    Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which lines; null asks for nothing. `value` looks one up: give its kind too."""

    kind: SuppressionKind | None = None
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None


class Suppressions:
    """The routes of the suppression list."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path = "/v1/suppressions"
        return (
            Route(
                method="GET", path=path, handler=self.list, permission="messages:read",
                errors=(Invalid, NotConfigured),
            ),
            Route(
                method="POST", path=path, handler=self.add, permission="messages:write",
                status=HTTPStatus.CREATED, errors=(Invalid, Conflict, NotConfigured),
            ),
            Route(
                method="DELETE", path=path + "/{suppressionId}", handler=self.lift,
                permission="admin:write", status=HTTPStatus.NO_CONTENT, errors=(NotFound,),
            ),
        )  # fmt: skip

    async def list(self, query: SuppressionQuery) -> Listed[SuppressionView]:
        """List the suppression list, newest first, or look up one value."""
        messaging = self._node.services.messaging
        if query.value is None:
            found = await messaging.list_suppressed(
                kind=query.kind, before=query.place() or NEWEST, limit=query.reach
            )
            return listed(query.skip(found), query, lambda line: line.id)
        if query.kind is None:
            problem = FieldProblem("kind", "say what the value is")
            raise Invalid("kind: say what the value is", (problem,), code="http.query.invalid")
        line = await messaging.find_suppressed(query.kind, query.value)
        return listed([] if line is None else [line], query, lambda line: line.id)

    async def add(self, body: SuppressionInput, caller: Caller) -> SuppressionView:
        """Stop writing to an address, a domain with all below it, a channel or a lead.

        What is on the list already keeps its line.
        """

        async def do(uow: UnitOfWork) -> SuppressionView:
            line = await self._node.services.messaging.suppress_in(
                uow.tx, body, by=caller.by, source="api"
            )
            await uow.record(_entry_of("suppression.added", line))
            return line

        return await run_once(self._node.services, caller, SuppressionView, do)

    async def lift(self, suppression_id: UUID, caller: Caller) -> None:
        """Take a line off the list; who did it stays readable."""

        async def do(uow: UnitOfWork) -> None:
            line = await self._node.services.messaging.lift_in(uow.tx, suppression_id, caller.by)
            await uow.record(_entry_of("suppression.lifted", line))

        await run_once(self._node.services, caller, type(None), do)


def _entry_of(action: str, line: SuppressionView) -> AuditEntry:
    return AuditEntry(
        action=action, subject_kind="suppression", subject_id=str(line.id),
        detail={"kind": line.kind.value, "hint": line.hint},
    )  # fmt: skip
