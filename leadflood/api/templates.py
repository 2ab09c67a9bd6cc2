"""Templates over HTTP: the texts that drafts are written from."""

import builtins
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.deeds import Deed, once
from leadflood.api.edge import Caller, Node
from leadflood.api.route import Route
from leadflood.domain.accounts.schemas import AuditEntry, Permission
from leadflood.domain.messaging.schemas import (
    TemplateDetail,
    TemplateInput,
    TemplatePreview,
    TemplateView,
)
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound

PATH = "/v1/templates"


class PreviewInput(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A text to try. `leadId` null: for somebody made up; `offer` empty: a made-up one."""

    template: TemplateInput
    lead_id: UUID | None = None
    offer: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class TemplateRoutes:
    """The routes of templates."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(method="GET", path=PATH, handler=self.list, permission="messages:read"),
            Route(
                method="POST",
                path=PATH,
                handler=self.add,
                permission="templates:write",
                status=HTTPStatus.CREATED,
                errors=(Invalid, Conflict),
            ),
            Route(
                method="POST",
                path=f"{PATH}/preview",
                handler=self.preview,
                permission="messages:read",
                errors=(Invalid, NotFound, Denied),
                is_idempotent=False,
                why_repeatable="it only reads",
            ),
            Route(
                method="GET",
                path=f"{PATH}/{{templateId}}",
                handler=self.get,
                permission="messages:read",
                errors=(NotFound,),
            ),
        )

    async def list(self) -> builtins.list[TemplateView]:
        """List the newest version of each text, at most 1,000, and the built-in ones in use."""
        return await self._node.messaging.list_templates()

    async def get(self, template_id: UUID) -> TemplateDetail:
        """Show one version of a text, with all versions there are."""
        return await self._node.messaging.get_template(template_id)

    async def add(self, body: TemplateInput, caller: Caller) -> TemplateView:
        """Write a text, or a new version of the one with this name, channel and language.

        Drafts are written from it from now on; what is drafted already stays as it is.
        """

        async def do(deed: Deed) -> TemplateView:
            template = await self._node.messaging.templates.add(deed.tx, body, caller.by)
            await deed.audit(_entry(template))
            return template

        return await once(self._node, caller, TemplateView, do)

    async def preview(self, body: PreviewInput, caller: Caller) -> TemplatePreview:
        """Fill a text for a lead or for somebody made up, and check it as drafts are checked."""
        principal = caller.principal
        if body.lead_id is not None and Permission.LEADS_READ not in principal.permissions:
            raise Denied(f"a preview shows a lead's values: it needs {Permission.LEADS_READ} too")
        owner = None if principal.sees_owner is None else str(principal.sees_owner)
        return await self._node.messaging.preview_template(
            body.template, lead_id=body.lead_id, offer=body.offer, owner=owner
        )


def _entry(template: TemplateView) -> AuditEntry:
    return AuditEntry(
        action="template.changed",
        subject_kind="template",
        subject_id=str(template.id),
        detail={
            "name": template.name,
            "channel": template.channel.value,
            "language": template.language,
            "version": template.version,
        },
    )
