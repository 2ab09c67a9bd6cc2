"""Templates: texts with merge fields, checked and filled.

A field without a value is an error. A value is put in as it stands and is never read as a template
again.
"""

import re
from collections.abc import Iterator

import msgspec
from jinja2 import TemplateError, UndefinedError

from leadflood.contracts.ports.text import Draft, DraftRequest
from leadflood.contracts.values import Channel
from leadflood.domain.drafting.rules.citations import find_claims
from leadflood.domain.drafting.rules.facts import FACT_FIELDS
from leadflood.domain.drafting.rules.nameless_greetings import NAMES
from leadflood.domain.drafting.rules.template_language import (
    RefusedTemplate,
    compile_text,
    list_names,
)
from leadflood.domain.drafting.rules.template_needs import find_needed
from leadflood.domain.drafting.schemas import Settings, Template
from leadflood.engine.errors import FieldProblem
from leadflood.engine.text import is_one_line

MERGE_FIELDS = frozenset({field.value for field in FACT_FIELDS} | {"offer", "sender_name"})
"""Facts that a template may name; a fact that a lead lacks is an error only where it is used."""
_NAMELESS = (
    "say what stands where {name} is not known: begin the line with a greeting, such as Hi or Dear"
    " (it does without the name then), or write {{{{ {name} | default('there') }}}}, or "
    "{{% if {name} is defined %}}Hi {{{{ {name} }}}}{{% else %}}Hello{{% endif %}}"
)
DRAFTED = frozenset({Channel.EMAIL, Channel.WHATSAPP})
"""The channels that drafts are written for."""
_QUOTED_NAME = re.compile(r"'([\w.]+)'")
_MANY_BREAKS = re.compile(r"\n{3,}")
MAX_FILLED = 20_000
"""Characters of a filled text that are read closely; no channel takes as many."""

FIRST_TOUCH = Template(
    name="first_touch",
    version=1,
    channel=Channel.EMAIL,
    subject="A question about {{ company_name }}",
    body="""\
Hi {{ first_name }},

{% if title is defined -%}
You work as {{ title }} at {{ company_name }}.
{%- else -%}
You work at {{ company_name }}.
{%- endif %}

{{ offer }}

Would a short call next week be useful to you?

Best regards,
{{ sender_name }}
""",
)
"""The text for a first e-mail where an operator has written none."""


class MissingValue(msgspec.Struct, frozen=True):
    """A template could not be filled: the field it lacks, or what is wrong with the template."""

    reason: str


def check_template(template: Template) -> tuple[FieldProblem, ...]:
    """List what is wrong with a template before any value is known."""
    return (
        *(problem for path, text in _texts(template) for problem in _check_text(path, text)),
        *_find_blanks(template),
        *_find_hidden(template),
        *_find_misplaced(template),
    )


def render(source: str, values: dict[str, str], language: str = "") -> str:
    """Fill one text. Raises: jinja2's TemplateError."""
    return compile_text(source, language).render(values)


def draft_from_template(template: Template, request: DraftRequest) -> Draft | MissingValue:
    """Fill a template from facts, offer and sender; blank ones count as missing."""
    values = _merge_values(request)
    try:
        if template.channel is Channel.WHATSAPP:
            draft = _fill_parameters(template, values)
        else:
            draft = _fill_email(template, values)
    except UndefinedError as error:
        match = _QUOTED_NAME.search(error.message or "")
        return MissingValue(f"value:{match.group(1) if match else error.message}")
    except TemplateError as error:
        return MissingValue(f"template:{type(error).__name__}: {error}")
    text = draft.body or "\n".join(draft.parameters)
    if len(text) > MAX_FILLED:
        return MissingValue(f"template:TooLong: {len(text)} characters, {MAX_FILLED} at most")
    return msgspec.structs.replace(draft, claims=find_claims(text, request.facts))


def _texts(template: Template) -> Iterator[tuple[str, str]]:
    yield "subject", template.subject
    yield "body", template.body
    for index, text in enumerate(template.parameters):
        yield f"parameters[{index}]", text


def _check_text(path: str, text: str) -> Iterator[FieldProblem]:
    """Yield what is wrong with one text: at its line, or at the name nobody fills in."""
    try:
        unknown = list_names(text) - MERGE_FIELDS
    except RefusedTemplate as error:
        yield FieldProblem(path, str(error))
        return
    for name in sorted(find_needed(text) & NAMES):
        yield FieldProblem(path, _NAMELESS.format(name=name))
    for name in sorted(unknown):
        names = ", ".join(sorted(MERGE_FIELDS))
        yield FieldProblem(path, f"there is no merge field {name!r}: use one of {names}")


def _fill_email(template: Template, values: dict[str, str]) -> Draft:
    return Draft(
        subject=render(template.subject, values, template.language).strip(),
        body=_MANY_BREAKS.sub("\n\n", render(template.body, values, template.language)).strip(),
        writer=f"template:{template.name}:{template.version}",
    )


def _fill_parameters(template: Template, values: dict[str, str]) -> Draft:
    return Draft(
        subject="",
        body="",
        parameters=tuple(
            render(text, values, template.language).strip() for text in template.parameters
        ),
        writer=f"template:{template.name}:{template.version}",
    )


def _find_blanks(template: Template) -> Iterator[FieldProblem]:
    is_whatsapp = template.channel is Channel.WHATSAPP
    if is_whatsapp and not template.whatsapp_template_id.strip():
        yield FieldProblem("whatsappTemplateId", "name the template as the provider knows it")
    needed = [text for text in _texts(template) if text[0].startswith("parameters") == is_whatsapp]
    for path, text in (*needed, ("name", template.name), ("language", template.language)):
        if not text.strip():
            yield FieldProblem(path, "write a text")


def _find_hidden(template: Template) -> Iterator[FieldProblem]:
    """Yield the names that are not one line of visible text."""
    names = (
        ("name", template.name),
        ("language", template.language),
        ("whatsappTemplateId", template.whatsapp_template_id),
        *((f"placeholders[{index}]", name) for index, name in enumerate(template.placeholders)),
    )
    for path, text in names:
        if not is_one_line(text):
            yield FieldProblem(path, "write it on one line, all of it visible")


def _find_misplaced(template: Template) -> Iterator[FieldProblem]:
    """Yield what the channel has no place for."""
    if template.channel not in DRAFTED:
        drafted = " or ".join(sorted(DRAFTED))
        yield FieldProblem(
            "channel", f"no message is written for {template.channel}: use {drafted}"
        )
    if not is_one_line(template.subject):
        yield FieldProblem("subject", "write the subject on one line, all of it visible")
    if len(template.placeholders) != len(template.parameters):
        yield FieldProblem("parameters", "write one text for each placeholder")
    if len(set(template.placeholders)) != len(template.placeholders):
        yield FieldProblem("placeholders", "name each placeholder once")
    is_whatsapp = template.channel is Channel.WHATSAPP
    if not is_whatsapp and (template.whatsapp_template_id or template.placeholders):
        yield FieldProblem("whatsappTemplateId", "only a WhatsApp text has one, and placeholders")
    if is_whatsapp and (template.subject or template.body):
        yield FieldProblem("body", "WhatsApp sends the provider's text: write parameters instead")


def _merge_values(request: DraftRequest) -> dict[str, str]:
    """Return what a template may use; what is blank is left out, so that its use is an error."""
    values = {fact.field: fact.text for fact in request.facts}
    values |= {"offer": request.offer, "sender_name": request.sender_name}
    return {name: value for name, value in values.items() if value.strip()}


def default_template(channel: Channel, settings: Settings) -> Template | None:
    """Return the template that stands in where none is stored; None: the channel has none."""
    if channel is Channel.EMAIL:
        return FIRST_TOUCH
    if channel is Channel.WHATSAPP and settings.whatsapp_template_id:
        placeholders = settings.whatsapp_placeholders
        return Template(
            name=settings.template_name,
            version=1,
            channel=channel,
            language=settings.language,
            whatsapp_template_id=settings.whatsapp_template_id,
            placeholders=placeholders,
            parameters=settings.whatsapp_parameters
            or tuple(_placeholder(name, settings.language) for name in placeholders),
        )
    return None


def _placeholder(name: str, language: str) -> str:
    """Return the text of a placeholder; where a name is not known, a word or the company's name."""
    if name not in NAMES:
        return f"{{{{ {name} }}}}"
    is_english = language.startswith("en") and name == "first_name"
    stand_in = "'there'" if is_english else "company_name"
    return f"{{{{ {name} | default({stand_in}) }}}}"
