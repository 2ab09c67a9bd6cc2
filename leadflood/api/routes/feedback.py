"""Feedback over HTTP: the outcomes of leads, recorded by those who met them."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.learning.schemas import Label, NewLabel, Outcome
from leadflood.engine.errors import Invalid, NotFound


class FeedbackBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The outcome of a lead. `at` null: now; `icpId` null: it is about the newest score."""

    outcome: Outcome
    note: Annotated[str, msgspec.Meta(max_length=5_000)] = ""
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    icp_id: UUID | None = None


class Feedback(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The outcomes recorded for a lead, newest first."""

    data: list[Label]


@post(
    "/v1/leads/{leadId}/feedback",
    permission="leads:write",
    status=HTTPStatus.CREATED,
    errors=(Invalid, NotFound),
)
async def record_feedback(
    lead_id: UUID, body: FeedbackBody, caller: Caller, services: Services, uow: UnitOfWork
) -> Label:
    """Record the outcome of a lead; of several answers to one question the newest counts."""
    new = NewLabel(
        lead_id=lead_id,
        outcome=body.outcome,
        by=caller.by,
        note=body.note,
        happened_at=body.at,
        icp_id=body.icp_id,
    )
    return await services.learning.record(uow, new, caller.visibility)


@get("/v1/leads/{leadId}/feedback", permission="leads:read", errors=(NotFound,))
async def list_feedback(lead_id: UUID, caller: Caller, services: Services) -> Feedback:
    """List the outcomes recorded for a lead, newest first; `isCurrent` ones count."""
    return Feedback(data=await services.learning.list_labels(lead_id, caller.visibility))
