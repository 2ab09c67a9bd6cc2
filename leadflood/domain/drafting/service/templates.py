"""Templates: the texts that drafts are written from where no writer writes them.

A text is never changed: a new version takes its place, and messages name the version they were
written from. Where an operator has written none, a built-in one stands in (version 0).
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.contracts.ports.text import DraftRequest
from leadflood.contracts.values import Channel
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.drafting import repository
from leadflood.domain.drafting.rules.facts import number_facts
from leadflood.domain.drafting.rules.templates import (
    MissingValue,
    check_template,
    default_template,
)
from leadflood.domain.drafting.schemas import (
    Settings,
    Template,
    TemplateDetail,
    TemplateInput,
    TemplatePreview,
    TemplateView,
)
from leadflood.domain.drafting.service.samples import SAMPLE_FACTS, SAMPLE_OFFER, SAMPLE_SUBJECT
from leadflood.domain.drafting.service.texts import fill_template, make_request
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Invalid, NotFound
from leadflood.engine.ids import Ids

BUILT_IN = 0
"""The version of a text that nobody has written here."""


class TemplateService:
    """The use cases of templates."""

    def __init__(self, db: Database, settings: Settings, ids: Ids, clock: Clock) -> None:
        self._db = db
        self._settings = settings
        self._ids = ids
        self._clock = clock

    async def list(self) -> Sequence[TemplateView]:
        """List the newest version of each text, at most 1,000, and the built-in ones in use."""
        templates = [self._mark(template) for template in await repository.list_templates(self._db)]
        channels = {template.channel for template in templates if template.is_used}
        built_in = [view for view in self._built_in() if view.channel not in channels]
        return [*templates, *built_in]

    async def get(self, template_id: UUID) -> TemplateDetail:
        """Return one version of a text, with all versions there are. Raises: NotFound."""
        detail = await repository.find_template(self._db, template_id)
        if detail is None:
            raise NotFound(f"there is no template {template_id}", code="template.not_found")
        return TemplateDetail(template=self._mark(detail.template), versions=detail.versions)

    async def add(self, tx: Tx, template_input: TemplateInput, by: str) -> TemplateView:
        """Write a new version of a text; drafts are written from it from now on.

        Raises: Invalid, naming the line or the field in the text; Conflict with another at the
        same moment.
        """
        template = await to_thread.run_sync(_check, template_input)
        view = await repository.add_template(tx, self._ids.new(), template, by, self._clock.now())
        if view is None:
            raise Conflict(
                "somebody wrote another version in the same moment: look at it first",
                code="template.version_conflict",
            )
        return self._mark(view)

    async def preview(
        self,
        template_input: TemplateInput,
        *,
        lead_id: UUID | None = None,
        offer: str = "",
        visibility: Visibility = EVERYTHING,
    ) -> TemplatePreview:
        """Fill a text for a lead, or (None) for somebody made up, and check it as drafts are.

        Raises: Invalid, NotFound.
        """
        facts, subject_id = SAMPLE_FACTS, SAMPLE_SUBJECT
        if lead_id is not None:
            profile = await self._get_visible(lead_id, visibility)
            max_age_days = self._settings.fact_max_age_days
            facts = number_facts(profile.values, self._clock.now(), max_age_days)
            subject_id = str(profile.lead_id)
        template = await to_thread.run_sync(_check, template_input)
        request = make_request(self._settings, template, facts, offer or SAMPLE_OFFER, subject_id)
        return await to_thread.run_sync(_preview, template, request, self._settings)

    async def _get_visible(self, lead_id: UUID, visibility: Visibility) -> LeadProfile:
        """Return who a lead is. Raises: NotFound where it is gone, deleted or another owner's."""
        profile = (await leads.find_profiles(self._db, [lead_id])).get(lead_id)
        if profile is None or profile.is_deleted or not await self._sees(profile, visibility):
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        return profile

    async def _sees(self, profile: LeadProfile, visibility: Visibility) -> bool:
        if not visibility.is_limited:
            return True
        owners = await LeadOwnership(self._db).find_owners([profile.lead_id])
        return visibility.allows(owners.get(profile.lead_id))

    def _mark(self, template: TemplateView) -> TemplateView:
        """Return a version with whether drafts are written from it."""
        settings = self._settings
        is_used = (template.name, template.language) == (settings.template_name, settings.language)
        return msgspec.structs.replace(template, is_used=is_used)

    def _built_in(self) -> Sequence[TemplateView]:
        """List the texts that stand in where nobody has written one."""
        templates = [default_template(channel, self._settings) for channel in Channel]
        return [self._view(template) for template in templates if template is not None]

    def _view(self, template: Template) -> TemplateView:
        """Return a built-in text under the name and the language that are in use."""
        named = msgspec.structs.replace(
            template,
            name=self._settings.template_name,
            language=self._settings.language,
            version=BUILT_IN,
        )
        return TemplateView(
            id=None, created_at=None, created_by=None, is_used=True, **msgspec.structs.asdict(named)
        )


def _check(template_input: TemplateInput) -> Template:
    """Return a text as a template. Raises: Invalid."""
    template = Template(version=BUILT_IN, **msgspec.structs.asdict(template_input))
    if problems := check_template(template):
        first = f"{problems[0].path}: {problems[0].problem}"
        raise Invalid(f"the template cannot be used: {first}", problems, code="template.invalid")
    return template


def _preview(template: Template, request: DraftRequest, settings: Settings) -> TemplatePreview:
    draft, problems = fill_template(template, request, settings)
    if isinstance(draft, MissingValue):
        return TemplatePreview(reason=draft.reason)
    return TemplatePreview(
        reason=f"text:{problems[0].code}" if problems else "",
        subject=draft.subject,
        body=draft.body,
        parameters=draft.parameters,
        problems=problems,
    )


async def find_current_templates(db: Reader, settings: Settings) -> dict[Channel, Template]:
    """Return the stored templates that drafts are written from now, by channel."""
    return await repository.find_templates(db, settings.template_name, settings.language)
