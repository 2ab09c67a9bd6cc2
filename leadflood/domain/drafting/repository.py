"""Templates in the database: a text is never changed, a new version takes its place."""

from datetime import datetime
from uuid import UUID

from leadflood.contracts.values import Channel
from leadflood.domain.drafting.schemas import (
    Template,
    TemplateDetail,
    TemplateVersion,
    TemplateView,
)
from leadflood.engine.db.rows import to_struct
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)


async def find_templates(db: Reader, name: str, language: str) -> dict[Channel, Template]:
    """Return the newest template of each channel."""
    rows = await db.fetch(SQL.find_templates, name=name, language=language)
    templates = [to_struct(row, Template) for row in rows]
    return {template.channel: template for template in templates}


async def list_templates(db: Reader) -> list[TemplateView]:
    """List the newest version of each text, at most 1,000."""
    return [to_struct(row, TemplateView) for row in await db.fetch(SQL.list_templates)]


async def find_template(db: Reader, template_id: UUID) -> TemplateDetail | None:
    """Return one version of a text, with all versions there are."""
    rows = await db.fetch(SQL.list_template_versions, id=template_id)
    row = next((row for row in rows if row["id"] == template_id), None)
    if row is None:
        return None
    return TemplateDetail(
        template=to_struct(row, TemplateView),
        versions=tuple(to_struct(version, TemplateVersion) for version in rows),
    )


async def add_template(
    tx: Tx, template_id: UUID, template: Template, by: str, now: datetime
) -> TemplateView | None:
    """Write the next version of a text; None when another was written in the same moment."""
    row = await tx.fetch_one(
        SQL.add_template,
        id=template_id,
        name=template.name,
        channel=template.channel.value,
        language=template.language,
        subject=template.subject,
        body=template.body,
        whatsapp_template_id=template.whatsapp_template_id,
        placeholders=list(template.placeholders),
        parameters=list(template.parameters),
        now=now,
        by=by,
    )
    return None if row is None else to_struct(row, TemplateView)
