"""A person's text in place of a draft, checked as a draft is, but for what only we may prove."""

import msgspec

from leadflood.contracts.ports.text import Draft, DraftRequest
from leadflood.contracts.values import Channel
from leadflood.domain.drafting.schemas import Settings
from leadflood.domain.drafting.service.texts import check_text
from leadflood.domain.messages.schemas import Edit, Message
from leadflood.engine.db.rows import clean
from leadflood.engine.errors import FieldProblem, Invalid

_FOR_WRITERS_ONLY = frozenset({"text.link", "text.email", "text.phone", "text.phrase", "text.sign"})
"""Problems of a draft that a person may overrule."""


def apply_edit(message: Message, edit: Edit, by: str, settings: Settings) -> Message:
    """Return a message with a person's text.

    Raises: Invalid (nothing to change, what the channel has no place for, blank, too long, a merge
    field left open).
    """
    _require_fitting(message.channel, edit)
    parameters = message.parameters if edit.parameters is None else edit.parameters
    edited = msgspec.structs.replace(
        message,
        subject=clean(message.subject if edit.subject is None else edit.subject),
        body=clean(message.body if edit.body is None else edit.body),
        parameters=tuple(map(clean, parameters)),
        writer=f"person:{by}",
    )
    draft = Draft(subject=edited.subject, body=edited.body, parameters=edited.parameters)
    problems = [
        FieldProblem(problem.code, problem.detail)
        for problem in check_text(_request(edited, settings), draft)
        if problem.code not in _FOR_WRITERS_ONLY
    ]
    if problems:
        raise Invalid(f"the text cannot go out: {problems[0].path}", tuple(problems))
    return edited


def _require_fitting(channel: Channel | None, edit: Edit) -> None:
    """Refuse what would be kept and never sent. Raises: Invalid."""
    if not edit.changes_text:
        raise Invalid.field("body", "say what to change: subject, body, parameters or readdress")
    is_whatsapp = channel is Channel.WHATSAPP
    if is_whatsapp and (edit.subject or edit.body):
        raise Invalid.field("body", "WhatsApp sends the template: change its parameters instead")
    if not is_whatsapp and edit.parameters:
        raise Invalid.field("parameters", "only WhatsApp has any: change subject or body instead")


def _request(message: Message, settings: Settings) -> DraftRequest:
    return DraftRequest(
        subject_id=str(message.lead_id),
        channel=message.channel or Channel.EMAIL,
        facts=(),
        offer="",
        sender_name=settings.sender_name,
        max_subject=settings.max_subject,
        max_body=settings.max_body,
        placeholders=message.placeholders,
    )
