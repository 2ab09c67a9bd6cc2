"""Drafting: the channel, the facts, the writer or the template, the checker."""

from datetime import datetime

import msgspec
from anyio import to_thread

from leadflood.contracts.ports.text import Draft, DraftRequest, TextWriter
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.drafting.rules.channels import choose_channel, require_usable
from leadflood.domain.drafting.rules.checker import check_draft
from leadflood.domain.drafting.rules.facts import number_facts
from leadflood.domain.drafting.rules.templates import MissingValue, default_template
from leadflood.domain.drafting.schemas import DraftInput, DraftProblem, DraftResult, Settings
from leadflood.domain.drafting.service.texts import fill_template, make_request, refused_draft
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.engine.errors import Permanent, Transient, code_of

TRIES_BEFORE_TEMPLATE = 3


class Drafter:
    """Drafts texts. Without a writer, or when its draft is refused, the template speaks.

    `has_verifier`: a provider is set that says whether an e-mail address works.
    """

    def __init__(
        self, settings: Settings, writer: TextWriter | None, *, has_verifier: bool = True
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._has_verifier = has_verifier

    async def draft(self, draft_input: DraftInput, now: datetime) -> DraftResult:
        """Draft one text.

        Raises: Transient and Throttled of the writer, for the first tries.
        """
        profile = draft_input.profile
        values = {field: proven.value for field, proven in profile.values.items()}
        choice = require_usable(
            choose_channel(
                values,
                may_whatsapp=draft_input.may_whatsapp,
                has_verifier=self._has_verifier,
                is_typed=_is_typed(profile),
                stopped=draft_input.stopped,
            )
        )
        blank = DraftResult(
            reason=choice.reason,
            channel=choice.channel,
            to_address=choice.to_address,
            facts=number_facts(profile.values, now, self._settings.fact_max_age_days),
        )
        if choice.channel is None:
            return blank
        return await self._fill(blank, choice.channel, draft_input)

    async def _fill(
        self, blank: DraftResult, channel: Channel, draft_input: DraftInput
    ) -> DraftResult:
        template = draft_input.templates.get(channel) or default_template(channel, self._settings)
        if template is None:
            return msgspec.structs.replace(blank, reason=f"template.missing:{channel}")
        subject_id = str(draft_input.profile.lead_id)
        request = make_request(self._settings, template, blank.facts, draft_input.offer, subject_id)
        draft, problems = await self._ask_writer(request, draft_input)
        if draft is not None:
            return _complete(blank, draft, template.whatsapp_template_id, request, problems)
        text, faults = fill_template(template, request, self._settings)
        if isinstance(text, MissingValue):
            return msgspec.structs.replace(blank, reason=text.reason, problems=problems)
        if faults:
            reason = f"text:{faults[0].code}"
            return msgspec.structs.replace(blank, reason=reason, problems=(*problems, *faults))
        return _complete(blank, text, template.whatsapp_template_id, request, problems)

    async def _ask_writer(
        self, request: DraftRequest, draft_input: DraftInput
    ) -> tuple[Draft | None, tuple[DraftProblem, ...]]:
        """Return the writer's draft, if it is proven, or none; with the problems of those refused.

        A refused draft goes back to the writer with its problems, `revisions` times: most have a
        sentence too many, and what is written anew is checked like the first.
        """
        if self._writer is None or not draft_input.may_ask_writer:
            return None, ()
        problems: tuple[DraftProblem, ...] = ()
        for _ in range(1 + self._settings.revisions):
            try:
                draft = await self._writer.write_draft(request)
            except Permanent as error:
                return None, (*problems, DraftProblem("writer.refused", code_of(error)))
            except Transient as error:
                if draft_input.attempts < TRIES_BEFORE_TEMPLATE:
                    raise
                return None, (*problems, DraftProblem("writer.down", code_of(error)))
            faults = await to_thread.run_sync(
                check_draft, request, draft, self._settings.allowed_links
            )
            problems += faults
            if not faults:
                return draft, problems
            request = msgspec.structs.replace(request, refused=refused_draft(draft, faults))
        return None, problems


def _is_typed(profile: LeadProfile) -> bool:
    """Whether a person has said that this is the lead's address."""
    address = profile.values.get(FieldName.EMAIL)
    return address is not None and address.is_human


def _complete(
    blank: DraftResult,
    draft: Draft,
    template_id: str,
    request: DraftRequest,
    problems: tuple[DraftProblem, ...],
) -> DraftResult:
    return msgspec.structs.replace(
        blank,
        subject=draft.subject,
        body=draft.body,
        parameters=draft.parameters,
        placeholders=request.placeholders,
        template_id=template_id,
        writer=draft.writer,
        claims=draft.claims,
        problems=problems,
    )
