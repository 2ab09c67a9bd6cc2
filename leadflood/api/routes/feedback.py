"""What came of leads, told by those who met them."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.domain.learning.schemas import Label, NewLabel, Outcome
from leadflood.domain.learning.service import LearningService
from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import Invalid, NotFound


class FeedbackBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What came of a lead. `at` null: now; `icpId` null: it is about the newest score."""

    outcome: Outcome
    note: Annotated[str, msgspec.Meta(max_length=5_000)] = ""
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    icp_id: UUID | None = None


class Feedback(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that was said of what came of a lead, newest first."""

    data: list[Label]


class FeedbackRoutes:
    """The routes of outcomes."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _learning(self) -> LearningService:
        return LearningService(self._node.services.ids, self._node.services.clock)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path = "/v1/leads/{leadId}/feedback"
        return (
            Route(
                method="POST", path=path, handler=self.record, permission="leads:write",
                status=HTTPStatus.CREATED, errors=(Invalid, NotFound),
            ),
            Route(
                method="GET", path=path, handler=self.list, permission="leads:read",
                errors=(NotFound,),
            ),
        )  # fmt: skip

    async def record(self, lead_id: UUID, body: FeedbackBody, caller: Caller) -> Label:
        """Say what came of a lead; of several answers to one question the newest counts."""
        icp_id = (
            None
            if body.icp_id is None
            else await self._node.services.icps.resolve_version(body.icp_id)
        )

        async def do(uow: UnitOfWork) -> Label:
            members = await self._members(uow.tx, lead_id, caller)
            new = NewLabel(
                lead_id=members[0], outcome=body.outcome, by=caller.by, note=body.note,
                happened_at=body.at, icp_id=icp_id,
            )  # fmt: skip
            event = await self._learning.record(uow.tx, new, members)
            await uow.publication.publish([event])
            labels = await self._learning.list_labels(uow.tx, members)
            return next(label for label in labels if label.id == event.label_id)

        return await run_once(self._node.services, caller, Label, do)

    async def list(self, lead_id: UUID, caller: Caller) -> Feedback:
        """List what was said of what came of a lead, newest first; `isCurrent` ones count."""
        db = self._node.services.db
        members = await self._members(db, lead_id, caller)
        return Feedback(data=await self._learning.list_labels(db, members))

    async def _members(self, db: Reader, lead_id: UUID, caller: Caller) -> tuple[UUID, ...]:
        """Tell all leads that are this one, the one that stands for them first."""
        view = await self._node.services.leads.get(db, lead_id)
        mine = caller.principal.sees_owner
        if mine is not None and view.owner != str(mine):
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        return (view.id, *(one.lead_id for one in view.merged))
