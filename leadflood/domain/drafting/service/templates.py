"""Templates: the texts that drafts are written from where no writer writes them.

A text is never changed: a new version takes its place, and messages name the version they were
written from. Where an operator has written none, a built-in one stands in (version 0).
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.contracts.ports.text import DraftRequest
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.messaging import store
from leadflood.domain.messaging.drafting import fill_template, request_draft
from leadflood.domain.messaging.schemas import (
    ProvenFact,
    Settings,
    Template,
    TemplateDetail,
    TemplateInput,
    TemplatePreview,
    TemplateVersion,
    TemplateView,
)
from leadflood.domain.messaging.template import MissingValue, Renderer, default_template
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Invalid, NotFound
from leadflood.engine.ids import Ids

BUILT_IN = 0
"""The version of a text that nobody has written here."""
NO_ROW = UUID(int=0)
SAMPLE_OFFER = "We cut the time from purchase request to order by half."
_SAMPLES = {
    FieldName.FIRST_NAME: "Ada",
    FieldName.LAST_NAME: "Byron",
    FieldName.FULL_NAME: "Ada Byron",
    FieldName.TITLE: "Head of Logistics",
    FieldName.SENIORITY: "head",
    FieldName.DEPARTMENT: "logistics",
    FieldName.CITY: "London",
    FieldName.COUNTRY: "United Kingdom",
    FieldName.COMPANY_NAME: "Acme Freight",
    FieldName.COMPANY_INDUSTRY: "logistics",
    FieldName.COMPANY_SIZE: "120",
    FieldName.COMPANY_COUNTRY: "United Kingdom",
    FieldName.COMPANY_TECHNOLOGIES: "SAP",
    FieldName.COMPANY_FOUNDED: "2009",
}
SAMPLE_FACTS = tuple(
    ProvenFact(number=number, field=field.value, text=text, field_value_id=NO_ROW)
    for number, (field, text) in enumerate(_SAMPLES.items(), 1)
)
"""What is known of somebody who does not exist; every field that a message may speak of."""


class Templates:
    """The use cases of templates."""

    def __init__(self, settings: Settings, ids: Ids, clock: Clock) -> None:
        self._settings = settings
        self._ids = ids
        self._clock = clock
        self._renderer = Renderer()

    async def list_newest(self, db: Reader) -> list[TemplateView]:
        """List the newest version of each text, at most 1,000, and the built-in ones in use."""
        rows = await db.fetch(store.SQL.list_templates)
        stored = [self._view(store.convert(row, TemplateView)) for row in rows]
        spoken = {template.channel for template in stored if template.is_used}
        return [*stored, *(one for one in self._built_in() if one.channel not in spoken)]

    async def get(self, db: Reader, template_id: UUID) -> TemplateDetail:
        """Return one version of a text, with all versions there are. Raises: NotFound."""
        rows = await db.fetch(store.SQL.list_template_versions, id=template_id)
        row = next((row for row in rows if row["id"] == template_id), None)
        if row is None:
            raise NotFound(f"there is no template {template_id}", code="template.not_found")
        return TemplateDetail(
            template=self._view(store.convert(row, TemplateView)),
            versions=tuple(store.convert(one, TemplateVersion) for one in rows),
        )

    async def add(self, tx: Tx, given: TemplateInput, by: str) -> TemplateView:
        """Write a new version of a text; drafts are written from it from now on.

        Raises: Invalid, naming the place in the text; Conflict with another at the same moment.
        """
        template = self._checked(given)
        row = await tx.fetch_one(
            store.SQL.add_template,
            id=self._ids.new(),
            name=template.name,
            channel=template.channel.value,
            language=template.language,
            subject=template.subject,
            body=template.body,
            whatsapp_template_id=template.whatsapp_template_id,
            placeholders=list(template.placeholders),
            parameters=list(template.parameters),
            now=self._clock.now(),
            by=by,
        )
        if row is None:
            raise Conflict(
                "somebody wrote another version in the same moment: look at it first",
                code="template.version.changed",
            )
        return self._view(store.convert(row, TemplateView))

    def preview(
        self, given: TemplateInput, facts: Sequence[ProvenFact], offer: str, subject_id: str
    ) -> TemplatePreview:
        """Fill a text as a draft is filled, and check it as a draft is checked. Raises: Invalid."""
        template = self._checked(given)
        request = request_draft(self._settings, template, tuple(facts), offer, subject_id)
        return self._show(template, request)

    def _show(self, template: Template, request: DraftRequest) -> TemplatePreview:
        draft, problems = fill_template(self._renderer, template, request, self._settings)
        if isinstance(draft, MissingValue):
            return TemplatePreview(reason=draft.reason)
        return TemplatePreview(
            reason=f"text:{problems[0].code}" if problems else "",
            subject=draft.subject,
            body=draft.body,
            parameters=draft.parameters,
            problems=problems,
        )

    def _checked(self, given: TemplateInput) -> Template:
        template = Template(version=BUILT_IN, **msgspec.structs.asdict(given))
        if problems := self._renderer.check(template):
            first = f"{problems[0].path}: {problems[0].problem}"
            raise Invalid(
                f"the template cannot be used: {first}", problems, code="template.invalid"
            )
        return template

    def _view(self, template: TemplateView) -> TemplateView:
        settings = self._settings
        is_used = (template.name, template.language) == (settings.template_name, settings.language)
        return msgspec.structs.replace(template, is_used=is_used)

    def _built_in(self) -> list[TemplateView]:
        """List the texts that stand in where nobody has written one."""
        templates = [default_template(channel, self._settings) for channel in Channel]
        return [
            TemplateView(
                id=None,
                created_at=None,
                created_by=None,
                is_used=True,
                **{
                    **msgspec.structs.asdict(template),
                    "name": self._settings.template_name,
                    "language": self._settings.language,
                    "version": BUILT_IN,
                },
            )
            for template in templates
            if template is not None
        ]
