"""Templates: texts with merge fields, rendered in Jinja2's sandbox.

A field without a value is an error. A value is put in as it stands and is never read as a template
again.
"""

import re
from collections.abc import Iterator

import msgspec
from jinja2 import (
    StrictUndefined,
    Template as Compiled,
    TemplateError,
    TemplateSyntaxError,
    UndefinedError,
)
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from leadflood.contracts.ports.text import Draft, DraftRequest
from leadflood.contracts.values import Channel
from leadflood.domain.drafting.rules.citations import find_claims
from leadflood.domain.drafting.rules.facts import FACT_FIELDS
from leadflood.domain.drafting.schemas import Settings, Template
from leadflood.engine.errors import FieldProblem

MERGE_FIELDS = frozenset({field.value for field in FACT_FIELDS} | {"offer", "sender_name"})
"""Facts that a template may name; a fact that a lead lacks is an error only where it is used."""
_QUOTED_NAME = re.compile(r"'([\w.]+)'")
_MANY_BREAKS = re.compile(r"\n{3,}")

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


class Renderer:
    """Fills templates; keeps what it compiled."""

    def __init__(self) -> None:
        self._environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False
        )
        self._compiled: dict[str, Compiled] = {}

    def render(self, source: str, values: dict[str, str]) -> str:
        """Fill one text. Raises: jinja2's TemplateError."""
        compiled = self._compiled.get(source)
        if compiled is None:
            compiled = self._compiled[source] = self._environment.from_string(source)
        return compiled.render(values)

    def check(self, template: Template) -> tuple[FieldProblem, ...]:
        """List what is wrong with a template before any value is known."""
        problems: list[FieldProblem] = []
        texts = [("subject", template.subject), ("body", template.body)]
        texts += [(f"parameters[{i}]", text) for i, text in enumerate(template.parameters)]
        for path, text in texts:
            problems += self._check_text(path, text)
        return (*problems, *_find_blanks(template))

    def _check_text(self, path: str, text: str) -> Iterator[FieldProblem]:
        """Yield what is wrong with one text: at its line, or at the name nobody fills in."""
        try:
            self._environment.from_string(text)
            unknown = find_undeclared_variables(self._environment.parse(text)) - MERGE_FIELDS
        except TemplateSyntaxError as error:
            yield FieldProblem(path, f"line {error.lineno}: mend the template: {error.message}")
        except TemplateError as error:
            yield FieldProblem(path, f"mend the template: {error}")
        else:
            for name in sorted(unknown):
                names = ", ".join(sorted(MERGE_FIELDS))
                yield FieldProblem(path, f"there is no merge field {name!r}: use one of {names}")

    def draft(self, template: Template, request: DraftRequest) -> Draft | MissingValue:
        """Fill a template from facts, offer and sender; blank ones count as missing."""
        values = _merge_values(request)
        try:
            if template.channel is Channel.WHATSAPP:
                return self._fill_parameters(template, request, values)
            return self._fill_email(template, request, values)
        except UndefinedError as error:
            match = _QUOTED_NAME.search(error.message or "")
            return MissingValue(f"value:{match.group(1) if match else error.message}")
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            return MissingValue(f"template:{type(error).__name__}: {error}")

    def _fill_email(
        self, template: Template, request: DraftRequest, values: dict[str, str]
    ) -> Draft:
        body = _MANY_BREAKS.sub("\n\n", self.render(template.body, values)).strip()
        return Draft(
            subject=self.render(template.subject, values).strip(),
            body=body,
            claims=find_claims(body, request.facts),
            writer=f"template:{template.name}:{template.version}",
        )

    def _fill_parameters(
        self, template: Template, request: DraftRequest, values: dict[str, str]
    ) -> Draft:
        parameters = tuple(self.render(text, values).strip() for text in template.parameters)
        return Draft(
            subject="",
            body="",
            parameters=parameters,
            claims=find_claims("\n".join(parameters), request.facts),
            writer=f"template:{template.name}:{template.version}",
        )


def _find_blanks(template: Template) -> Iterator[FieldProblem]:
    if template.channel is Channel.WHATSAPP:
        if not template.whatsapp_template_id.strip():
            yield FieldProblem("whatsappTemplateId", "name the template as the provider knows it")
    else:
        for path, text in (("subject", template.subject), ("body", template.body)):
            if not text.strip():
                yield FieldProblem(path, "write a text")
    if len(template.placeholders) != len(template.parameters):
        yield FieldProblem("parameters", "write one text for each placeholder")


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
            or tuple(f"{{{{ {name} }}}}" for name in placeholders),
        )
    return None
