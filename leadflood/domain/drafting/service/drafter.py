"""From a lead to a message: the route, the facts, the writer or the template, the checker."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.ports.text import Draft, DraftRequest, TextWriter
from leadflood.contracts.values import Channel, FieldName, SendsPolicy
from leadflood.domain.leads.schemas import LeadProfile
from leadflood.domain.messaging.facts import number_facts, tell_writer
from leadflood.domain.messaging.form import check_form
from leadflood.domain.messaging.keys import normalise_address
from leadflood.domain.messaging.letter import missing_settings
from leadflood.domain.messaging.rules import Route, check_draft, choose_route
from leadflood.domain.messaging.schemas import (
    Message,
    MessageState,
    Problem,
    ProvenFact,
    Settings,
    Template,
)
from leadflood.domain.messaging.template import MissingValue, Renderer, default_template
from leadflood.engine.errors import Invalid, Permanent, Transient, code_of

AUTOPILOT = "autopilot"
TRIES_BEFORE_TEMPLATE = 3


class ToDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a message is drafted."""

    message_id: UUID
    intent_id: UUID
    icp_id: UUID
    run_id: UUID
    profile: LeadProfile
    offer: str
    is_autopilot: bool
    sends: str
    may_whatsapp: bool
    templates: dict[Channel, Template]
    attempts: int


class Drafted(msgspec.Struct, frozen=True, kw_only=True):
    """A message ready to be stored; `intent_id` is used when it is approved."""

    message: Message
    intent_id: UUID
    lead_ids: tuple[UUID, ...]


class Drafter:
    """Writes messages. Without a writer, or when its draft is refused, the template speaks."""

    def __init__(self, settings: Settings, writer: TextWriter | None) -> None:
        self._settings = settings
        self._writer = writer
        self._renderer = Renderer()

    async def draft(self, given: ToDraft, now: datetime) -> Drafted:
        """Draft one message.

        Raises: Transient and Throttled of the writer, for the first tries.
        """
        values = {field: known.value for field, known in given.profile.values.items()}
        route = _usable(choose_route(values, may_whatsapp=given.may_whatsapp))
        facts = number_facts(given.profile.values, now, self._settings.fact_max_age_days)
        blank = Message(
            id=given.message_id,
            lead_id=given.profile.lead_id,
            icp_id=given.icp_id,
            run_id=given.run_id,
            state=MessageState.NEEDS_DATA,
            reason=route.reason,
            channel=route.channel,
            to_address=route.to_address,
            to_name=given.profile.text(FieldName.FULL_NAME),
            facts=facts,
        )
        message = blank if route.channel is None else await self._fill(blank, given, facts)
        return Drafted(
            message=_decide(message, given, self._settings),
            intent_id=given.intent_id,
            lead_ids=given.profile.members or (given.profile.lead_id,),
        )

    async def _fill(self, blank: Message, given: ToDraft, facts: tuple[ProvenFact, ...]) -> Message:
        channel = blank.channel or Channel.EMAIL
        template = given.templates.get(channel) or default_template(channel, self._settings)
        if template is None:
            return msgspec.structs.replace(blank, reason=f"template.missing:{channel}")
        request = request_draft(self._settings, template, facts, given.offer, str(blank.lead_id))
        written, problems = await self._ask_writer(request, given)
        draft, faults = (
            (written, ())
            if written is not None
            else fill_template(self._renderer, template, request, self._settings)
        )
        if isinstance(draft, MissingValue):
            return msgspec.structs.replace(blank, reason=draft.reason, problems=problems)
        if faults:
            reason = f"text:{faults[0].code}"
            return msgspec.structs.replace(blank, reason=reason, problems=(*problems, *faults))
        return msgspec.structs.replace(
            blank,
            subject=draft.subject,
            body=draft.body,
            parameters=draft.parameters,
            placeholders=template.placeholders,
            template_id=template.whatsapp_template_id,
            writer=draft.writer,
            claims=draft.claims,
            problems=problems,
            reason="",
        )

    async def _ask_writer(
        self, request: DraftRequest, given: ToDraft
    ) -> tuple[Draft | None, tuple[Problem, ...]]:
        """Let the writer try where the message may go at all; refuse what is not proven."""
        if self._writer is None or given.sends == SendsPolicy.NEVER:
            return None, ()
        try:
            draft = await self._writer.write_draft(request)
        except Permanent as error:
            return None, (Problem("writer.refused", code_of(error)),)
        except Transient as error:
            if given.attempts < TRIES_BEFORE_TEMPLATE:
                raise
            return None, (Problem("writer.down", code_of(error)),)
        problems = check_draft(request, draft, self._settings.allowed_links)
        return (None, problems) if problems else (draft, ())


def request_draft(
    settings: Settings,
    template: Template,
    facts: tuple[ProvenFact, ...],
    offer: str,
    subject_id: str,
) -> DraftRequest:
    """Say what a draft may be written from, and within which limits."""
    return DraftRequest(
        subject_id=subject_id,
        channel=template.channel,
        facts=tell_writer(facts),
        offer=offer,
        sender_name=settings.sender_name,
        language=settings.language,
        max_subject=settings.max_subject,
        max_body=settings.max_body,
        placeholders=template.placeholders,
    )


def fill_template(
    renderer: Renderer, template: Template, request: DraftRequest, settings: Settings
) -> tuple[Draft | MissingValue, tuple[Problem, ...]]:
    """Fill a template and check the form of what came out."""
    draft = renderer.draft(template, request)
    if isinstance(draft, MissingValue):
        return draft, ()
    return draft, check_form(request, draft, settings.allowed_links)


def _usable(route: Route) -> Route:
    """Refuse an address that cannot be one."""
    if route.channel is None:
        return route
    try:
        normalise_address(route.channel, route.to_address)
    except Invalid:
        return Route(None, reason=f"address.malformed:{route.channel}")
    return route


def _decide(message: Message, given: ToDraft, settings: Settings) -> Message:
    """Decide what happens to a draft: never, wait for a person or data, or go."""
    replace = msgspec.structs.replace
    if given.sends == SendsPolicy.NEVER:
        reason = message.reason or "run.never_sends"
        return replace(message, state=MessageState.NOT_WANTED, reason=reason)
    if message.reason:
        return message
    if given.sends != SendsPolicy.GO or not given.is_autopilot:
        return replace(message, state=MessageState.WAITING)
    if missing := missing_settings(message.channel, settings):
        reason = f"setting:{missing[0]}"
        return replace(message, state=MessageState.WAITING, reason=reason)
    return replace(message, state=MessageState.APPROVED, decided_by=AUTOPILOT)
