"""Texts of a draft: what they are written from, and how they are filled, checked and cited."""

from collections.abc import Sequence

from leadflood.contracts.ports.text import Claim, Draft, DraftRequest, RefusedDraft
from leadflood.contracts.values import Channel
from leadflood.domain.drafting.rules.citations import find_spans
from leadflood.domain.drafting.rules.facts import list_for_writer
from leadflood.domain.drafting.rules.limits import check_limits
from leadflood.domain.drafting.rules.templates import (
    MissingValue,
    check_template,
    default_template,
    draft_from_template,
)
from leadflood.domain.drafting.schemas import DraftProblem, ProvenFact, Settings, Template
from leadflood.engine.errors import FieldProblem


def check_settings(settings: Settings) -> list[FieldProblem]:
    """List what is wrong with the WhatsApp texts that stand in the settings."""
    template = default_template(Channel.WHATSAPP, settings)
    if template is None or not settings.whatsapp_parameters:
        return []
    return [
        FieldProblem(f"messaging.whatsapp_{problem.path}", problem.problem)
        for problem in check_template(template)
        if problem.path.startswith(("parameters", "placeholders"))
    ]


def make_request(
    settings: Settings,
    template: Template,
    facts: tuple[ProvenFact, ...],
    offer: str,
    subject_id: str,
) -> DraftRequest:
    """Return what a draft may be written from, and within which limits."""
    return DraftRequest(
        subject_id=subject_id,
        channel=template.channel,
        facts=list_for_writer(facts),
        offer=offer,
        sender_name=settings.sender_name,
        language=settings.language,
        max_subject=settings.max_subject,
        max_body=settings.max_body,
        placeholders=template.placeholders,
    )


def fill_template(
    template: Template, request: DraftRequest, settings: Settings
) -> tuple[Draft | MissingValue, tuple[DraftProblem, ...]]:
    """Fill a template and check the limits of what came out."""
    draft = draft_from_template(template, request)
    if isinstance(draft, MissingValue):
        return draft, ()
    return draft, check_limits(request, draft, settings.allowed_links)


def check_text(request: DraftRequest, draft: Draft) -> tuple[DraftProblem, ...]:
    """List what breaks a limit in a text that somebody else wrote; empty means nothing."""
    return check_limits(request, draft)


def refused_draft(draft: Draft, problems: Sequence[DraftProblem]) -> RefusedDraft:
    """Return a draft as its writer sees it again, each problem with the words at fault."""
    return RefusedDraft(
        subject=draft.subject,
        body=draft.body,
        parameters=draft.parameters,
        claims=draft.claims,
        problems=tuple(f"{problem.code}: {problem.detail}" for problem in problems),
    )


def locate_claims(
    body: str, parameters: Sequence[str], claims: Sequence[Claim]
) -> dict[int, list[tuple[int, int]]]:
    """Return for each fact number where in a text it is claimed (start, end in characters)."""
    return find_spans(body or "\n".join(parameters), claims)
