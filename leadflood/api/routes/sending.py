"""Sending over HTTP, for operators: hold, release, say what arrived."""

from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.routes.admin_stages import Why
from leadflood.api.services import Node
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.messaging.schemas import IntentState, IntentView, SendingStatus
from leadflood.engine.errors import Conflict, NotFound

OLDEST = UUID(int=0)
PATH = "/v1/admin/sending"


class Arrived(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether an unknown sending arrived; one that did not goes again."""

    sent: bool


class Resolved(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A sending after somebody said what became of it."""

    intent_id: UUID
    state: IntentState


class Sending:
    """The routes of sending."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        hold, unknown = f"{PATH}/hold", f"{PATH}/unknown"
        read, write = "admin:read", "admin:write"
        return (
            Route(method="GET", path=PATH, handler=self.status, permission=read),
            Route(method="PUT", path=hold, handler=self.hold, permission=write),
            Route(method="DELETE", path=hold, handler=self.release, permission=write),
            Route(method="GET", path=unknown, handler=self.unknown, permission=read),
            Route(
                method="PUT", path=unknown + "/{intentId}", handler=self.resolve,
                permission=write, errors=(NotFound, Conflict),
            ),
        )  # fmt: skip

    async def status(self) -> SendingStatus:
        """Tell whether sending is held, and what may still arrive."""
        return await self._node.services.messaging.sending_status()

    async def hold(self, body: Why, caller: Caller) -> SendingStatus:
        """Stop all sending: once this answers, only what it lists may still arrive."""
        return await self._switch(caller, body.reason, is_held=True)

    async def release(self, caller: Caller) -> SendingStatus:
        """Let sending go on."""
        return await self._switch(caller, "by the API", is_held=False)

    async def unknown(self, query: Paging) -> Listed[IntentView]:
        """List the sendings of which nobody knows whether they arrived, oldest first."""
        intents = await self._node.services.messaging.unknown_list(
            after=query.position() or OLDEST, limit=query.fetch_limit
        )
        return paginate(intents, query)

    async def resolve(self, intent_id: UUID, body: Arrived, caller: Caller) -> Resolved:
        """Say whether an unknown sending arrived."""

        async def do(uow: UnitOfWork) -> Resolved:
            state = await self._node.services.messaging.resolve(
                uow.publication, intent_id, sent=body.sent, by=caller.by
            )
            entry = AuditEntry(
                action="sending.resolved", subject_kind="intent", subject_id=str(intent_id),
                detail={"sent": body.sent},
            )  # fmt: skip
            await uow.record(entry)
            return Resolved(intent_id=intent_id, state=state)

        return await run_once(self._node.services, caller, Resolved, do)

    async def _switch(self, caller: Caller, reason: str, *, is_held: bool) -> SendingStatus:
        """Set the switch and write down who did, in one transaction; answer once it holds."""

        async def do(uow: UnitOfWork) -> SendingStatus:
            action = "sending.held" if is_held else "sending.released"
            entry = AuditEntry(action=action, subject_kind="sending", detail={"reason": reason})
            await uow.record(entry)
            return await self._node.services.messaging.switch(
                uow.tx, is_held=is_held, by=caller.by, reason=reason
            )

        return await run_once(self._node.services, caller, SendingStatus, do)
