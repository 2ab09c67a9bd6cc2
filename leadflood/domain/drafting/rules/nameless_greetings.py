"""Nameless greetings: `Hi {{ first_name }},` is `Hi,` where no first name is known."""

import re
from collections.abc import Iterator

from jinja2 import nodes

from leadflood.contracts.word_files import read_lines

NAMES = frozenset({"first_name", "last_name", "full_name"})
"""What is not known of everybody: a text says what stands where it is not."""
_GREETINGS = "|".join(map(re.escape, sorted(read_lines("greetings.txt"), key=len, reverse=True)))
_GREETING = re.compile(rf"(?<!\w)(?:{_GREETINGS})\s*\Z", re.IGNORECASE)


def make_names_optional(template: nodes.Template) -> nodes.Template:
    """Let a name behind a greeting fall away, with the space before it, where it is not known."""
    for output in template.find_all(nodes.Output):
        output.nodes = list(_optional_names(output.nodes))
    return template


def _optional_names(parts: list[nodes.Expr]) -> Iterator[nodes.Expr]:
    space: str | None = None  # what stands between a greeting and the name; None: no greeting
    for part, following in zip(parts, (*parts[1:], None), strict=True):
        if isinstance(part, nodes.TemplateData) and _is_name(following):
            is_greeting = _GREETING.search(part.data) or (space is not None and part.data.isspace())
            kept = part.data.rstrip() if is_greeting else part.data
            space = part.data[len(kept) :] if is_greeting else None
            yield nodes.TemplateData(kept, lineno=part.lineno)
        elif isinstance(part, nodes.Name) and _is_name(part) and space is not None:
            yield _optional(part, space)
        else:
            space = None
            yield part


def _is_name(part: nodes.Expr | None) -> bool:
    return isinstance(part, nodes.Name) and part.name in NAMES


def _optional(name: nodes.Name, space: str) -> nodes.CondExpr:
    line = name.lineno
    test = nodes.Test(name, "defined", [], [], None, None, lineno=line)
    spaced = nodes.Concat([nodes.Const(space, lineno=line), name], lineno=line)
    return nodes.CondExpr(test, spaced, nodes.Const("", lineno=line), lineno=line)
