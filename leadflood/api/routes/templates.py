"""Templates over HTTP: the texts that drafts are written from."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import get, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.drafting.schemas import (
    TemplateDetail,
    TemplateInput,
    TemplatePreview,
    TemplateView,
)
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound


class PreviewInput(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A text to try. `leadId` null: for somebody made up; `offer` empty: a made-up one."""

    template: TemplateInput
    lead_id: UUID | None = None
    offer: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


@get("/v1/templates", permission="messages:read")
async def list_templates(services: Services) -> Sequence[TemplateView]:
    """List the newest version of each text, at most 1,000, and the built-in ones in use."""
    return await services.templates.list()


@post(
    "/v1/templates",
    permission="templates:write",
    also_needs=("messages:send",),
    status=HTTPStatus.CREATED,
    errors=(Invalid, Conflict),
)
async def add_template(
    body: TemplateInput, caller: Caller, services: Services, uow: UnitOfWork
) -> TemplateView:
    """Write a text, or a new version of the one with this name, channel and language.

    Drafts are written from it from now on; what is drafted already stays as it is. An autopilot
    sends such drafts by itself, which is why this needs `messages:send` too.
    """
    template = await services.templates.add(uow.tx, body, caller.by)
    await uow.audit(
        "template.changed",
        template.id,
        name=template.name,
        channel=template.channel,
        language=template.language,
        version=template.version,
    )
    return template


@post(
    "/v1/templates/preview",
    permission="messages:read",
    errors=(Invalid, NotFound, Denied),
    idempotent=False,
    reason="it only reads",
)
async def preview_template(
    body: PreviewInput, caller: Caller, services: Services
) -> TemplatePreview:
    """Fill a text for a lead or for somebody made up, and check it as drafts are checked."""
    if body.lead_id is not None and Permission.LEADS_READ not in caller.principal.permissions:
        raise Denied(f"a preview shows a lead's values: it needs {Permission.LEADS_READ} too")
    return await services.templates.preview(
        body.template, lead_id=body.lead_id, offer=body.offer, visibility=caller.visibility
    )


@get("/v1/templates/{templateId}", permission="messages:read", errors=(NotFound,))
async def get_template(template_id: UUID, services: Services) -> TemplateDetail:
    """Show one version of a text, with all versions there are."""
    return await services.templates.get(template_id)
