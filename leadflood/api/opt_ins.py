"""Opt-ins over HTTP: which channels a lead has agreed to, and what proves it."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.deeds import Deed, once
from leadflood.api.edge import Caller, Node
from leadflood.api.lead_changes import editor_of
from leadflood.api.route import Route
from leadflood.contracts.values import Channel
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.leads.changes import LeadChanges
from leadflood.domain.leads.schemas import OptInEvidence
from leadflood.domain.messaging.schemas import OptInView
from leadflood.engine.errors import Conflict, Invalid, NotConfigured, NotFound, PreconditionFailed

PATH = "/v1/leads/{leadId}/opt-ins/{channel}"


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an agreement is taken back; empty: nobody said."""

    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class OptInRoutes:
    """The routes of opt-ins."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        errors = (NotFound, PreconditionFailed)
        return (
            Route(
                method="PUT",
                path=PATH,
                handler=self.record,
                permission="leads:write",
                errors=(*errors, Conflict, Invalid, NotConfigured),
                takes_if_match=True,
            ),
            Route(
                method="DELETE",
                path=PATH,
                handler=self.withdraw,
                permission="leads:write",
                status=HTTPStatus.NO_CONTENT,
                errors=errors,
                takes_if_match=True,
            ),
        )

    async def record(
        self, lead_id: UUID, channel: Channel, body: OptInEvidence, caller: Caller
    ) -> OptInView:
        """Write down that the person agreed to a channel, with what proves it.

        It holds for the address the lead has now. A newer agreement takes the place of the older
        one, which stays on record.
        """

        async def do(deed: Deed) -> OptInView:
            await self._require_visible(deed, lead_id)
            opt_in = await self._node.messaging.record_opt_in(
                deed.publication, lead_id, channel, body, caller.by
            )
            await deed.audit(_entry("opt_in.recorded", lead_id, channel))
            return opt_in

        return await once(self._node, caller, OptInView, do)

    async def withdraw(
        self, lead_id: UUID, channel: Channel, query: Withdrawal, caller: Caller
    ) -> None:
        """Write down that the person took their agreement back: nothing more is sent there."""

        async def do(deed: Deed) -> None:
            await self._require_visible(deed, lead_id)
            await self._node.messaging.withdraw_opt_in(
                deed.publication, lead_id, channel, caller.by, query.reason
            )
            await deed.audit(_entry("opt_in.withdrawn", lead_id, channel))

        await once(self._node, caller, type(None), do)

    async def _require_visible(self, deed: Deed, lead_id: UUID) -> None:
        changes = LeadChanges(self._node.storage.ids, self._node.storage.clock)
        await changes.require_visible(deed.tx, lead_id, editor_of(deed.caller))


def _entry(action: str, lead_id: UUID, channel: Channel) -> AuditEntry:
    return AuditEntry(
        action=action,
        subject_kind="lead",
        subject_id=str(lead_id),
        detail={"channel": channel.value},
    )
