"""The language of templates: the small part of Jinja2 that a text may use.

Merge fields, `if` with `is defined`, comparisons with texts, and a few filters. Loops, macros,
calls and arithmetic are refused before anything is compiled: who writes a template must not decide
how long this process works.
"""

from collections.abc import Iterator
from functools import lru_cache

from jinja2 import StrictUndefined, Template as Compiled, TemplateError, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from leadflood.domain.drafting.rules.nameless_greetings import make_names_optional
from leadflood.engine.text import hidden_signs, is_storable

FILTERS = frozenset({"capitalize", "default", "lower", "title", "trim", "upper"})
TESTS = frozenset({"defined", "undefined"})
MAX_TAGS = 100
"""Tags and merge fields of one text: each is a value of some thousand characters at most."""
MAX_TAG_CHARS = 300
MAX_DEPTH = 12
KEPT = 256

_OPENINGS = ("{{", "{%", "{#")
_ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If),
    *(nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.Not, nodes.And, nodes.Or),
    nodes.CondExpr,
)
_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False
)


class RefusedTemplate(TemplateError):
    """A text is no template of this language; the message says what to mend."""


@lru_cache(maxsize=KEPT)
def compile_text(source: str, language: str = "") -> Compiled:
    """Compile a text; the last ones are kept. Raises: RefusedTemplate."""
    return _ENVIRONMENT.from_string(parse_text(source, language))


def list_names(source: str) -> set[str]:
    """Return the names that a text uses. Raises: RefusedTemplate."""
    return find_undeclared_variables(parse_text(source))


def parse_text(source: str, language: str = "") -> nodes.Template:
    """Parse a text and check that it stays within the language. Raises: RefusedTemplate.

    A name behind a greeting falls away where it is not known; `language` is that of the text.
    """
    if not is_storable(source):
        raise RefusedTemplate("take out the characters that cannot be stored, such as NUL")
    if signs := hidden_signs(source):
        raise RefusedTemplate(f"take out what nobody sees: {', '.join(signs[:8])}")
    if sum(map(source.count, _OPENINGS)) > MAX_TAGS:
        raise RefusedTemplate(f"use at most {MAX_TAGS} merge fields and tags in one text")
    if any(length > MAX_TAG_CHARS for length in _tag_lengths(source)):
        raise RefusedTemplate(f"write at most {MAX_TAG_CHARS} characters between braces")
    try:
        parsed = _ENVIRONMENT.parse(source)
        _require_allowed(parsed, 0)
    except TemplateSyntaxError as error:
        raise RefusedTemplate(f"line {error.lineno}: mend the template: {error.message}") from error
    except (RecursionError, OverflowError, ValueError) as error:
        raise RefusedTemplate("mend the template: it is nested too deep") from error
    return make_names_optional(parsed, language)


def _tag_lengths(source: str) -> Iterator[int]:
    """Yield how far each tag is from its closing brace, or from the end."""
    start = source.find("{")
    while start >= 0:
        if source.startswith(_OPENINGS, start):
            end = source.find("}", start)
            yield (len(source) if end < 0 else end) - start
        start = source.find("{", start + 1)


def _require_allowed(node: nodes.Node, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RefusedTemplate(f"line {node.lineno}: it is nested too deep")
    if (problem := _problem_of(node)) is not None:
        raise RefusedTemplate(f"line {node.lineno}: {problem}")
    for child in node.iter_child_nodes():
        _require_allowed(child, depth + 1)


def _problem_of(node: nodes.Node) -> str | None:
    problem = None
    match node:
        case nodes.Filter(name=name) if name not in FILTERS:
            problem = f"there is no filter {name!r}: use one of {', '.join(sorted(FILTERS))}"
        case nodes.Test(name=name) if name not in TESTS:
            problem = f"there is no test {name!r}: use one of {', '.join(sorted(TESTS))}"
        case nodes.Const(value=str(value)) if not is_storable(value):
            problem = "take out the characters that cannot be stored"
        case nodes.Const(value=value) if not isinstance(value, str | bool | None):
            problem = "compare with texts only, in quotes"
        case _ if not isinstance(node, _ALLOWED):
            name = type(node).__name__
            problem = f"{name} is not for templates: use merge fields, if, and filters"
        case _:
            pass
    return problem
