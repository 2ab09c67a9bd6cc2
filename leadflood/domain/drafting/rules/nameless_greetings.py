"""Nameless greetings: `Hi {{ first_name }},` is `Hi,` where no first name is known.

`Dear {{ first_name }},` is `Hello,` then. Source: `config/words/greetings.toml`.
"""

import re
from collections.abc import Iterable, Iterator
from functools import reduce

import msgspec
from jinja2 import nodes

from leadflood.contracts.word_files import read_tables

NAMES = frozenset({"first_name", "last_name", "full_name"})
"""What is not known of everybody: a text says what stands where it is not."""
_TABLES = read_tables("greetings.toml")
_TITLES = read_tables("names.toml")["titles"]
_NAMELESS: dict[str, list[tuple[str, str]]] = {}
for _group in _TABLES["named"]:
    for _word in _group["words"]:
        _NAMELESS.setdefault(_word, []).append((_group["language"], _group["nameless"]))


def _any_of(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(set(words), key=len, reverse=True)))


_SALUTATION = _any_of(f"{_TITLES['salutations']} {_TITLES['address']}".split())
_BEFORE_NAME = (
    rf"(?P<titles>(?:[ \t]+(?:{_SALUTATION})\.?(?:[ \t]?/[ \t]?(?:{_SALUTATION})\.?)*){{0,4}})"
    r"[,،]?[ \t]*\Z"
)
_ALONE = re.compile(
    rf"(?<!\w)(?P<greeting>{_any_of(_TABLES['alone']['words'])}){_BEFORE_NAME}", re.IGNORECASE
)
_NAMED = re.compile(
    rf"^[ \t]*(?P<greeting>{_any_of(_NAMELESS)}){_BEFORE_NAME}", re.IGNORECASE | re.MULTILINE
)


class _Greeting(msgspec.Struct, frozen=True):
    """A greeting before a name.

    - `kept`: what stands before it.
    - `text`: it, with what leads to the name.
    - `nameless`: what stands instead where no name is known.
    - `needs_all`: whether each name has to be known: `Mr.` with a first name alone greets nobody.
    """

    kept: str
    text: str
    nameless: str
    needs_all: bool


def make_names_optional(template: nodes.Template, language: str) -> nodes.Template:
    """Let names behind a greeting fall away, with what leads to them, where they are not known."""
    for output in template.find_all(nodes.Output):
        output.nodes = list(_optional_names(output.nodes, language))
    return template


def _optional_names(parts: list[nodes.Expr], language: str) -> Iterator[nodes.Expr]:
    index = 0
    while index < len(parts):
        part = parts[index]
        end = _end_of_names(parts, index + 1)
        index += 1
        greeting = None
        if isinstance(part, nodes.TemplateData) and end > index:
            greeting = _find_greeting(part.data, language, is_first=index == 1)
        if greeting is None:
            yield part
            continue
        yield nodes.TemplateData(greeting.kept, lineno=part.lineno)
        yield _greet(greeting, parts[index:end])
        index = end


def _end_of_names(parts: list[nodes.Expr], start: int) -> int:
    """Return where the names end that begin at `start`, with nothing but blanks between them."""
    end = start
    for index, part in enumerate(parts[start:], start):
        if _name_in(part) is not None:
            end = index + 1
        elif not (isinstance(part, nodes.TemplateData) and part.data.isspace()):
            break
    return end


def _find_greeting(data: str, language: str, *, is_first: bool) -> _Greeting | None:
    if match := _ALONE.search(data):
        nameless = match["greeting"]
    elif (match := _NAMED.search(data)) and (is_first or "\n" in data[: match.start("greeting")]):
        nameless = _nameless_of(match["greeting"], language)
    else:
        return None
    start = match.start("greeting")
    return _Greeting(data[:start], data[start:], nameless, needs_all=bool(match["titles"]))


def _nameless_of(greeting: str, language: str) -> str:
    forms = _NAMELESS[greeting.lower()]
    own = [form for code, form in forms if code == re.split("[-_]", language.lower())[0]]
    return own[0] if own else forms[0][1]


def _name_in(part: nodes.Node) -> str | None:
    """Return the name that an expression is, as it stands or written otherwise."""
    while isinstance(part, nodes.Filter) and part.name != "default" and part.node is not None:
        part = part.node
    return part.name if isinstance(part, nodes.Name) and part.name in NAMES else None


def _greet(greeting: _Greeting, parts: list[nodes.Expr]) -> nodes.Expr:
    """Return the greeting with its names, or the nameless one."""
    line = parts[0].lineno
    lead = greeting.text.rstrip()
    blank = greeting.text[len(lead) :]
    tests: list[nodes.Expr] = []
    pieces: list[nodes.Expr] = [nodes.Const(lead, lineno=line)]
    for part in parts:
        if isinstance(part, nodes.TemplateData):
            blank = part.data
            continue
        name = nodes.Name(_name_in(part), "load", lineno=line)
        tests.append(nodes.Test(name, "defined", [], [], None, None, lineno=line))
        named = nodes.Concat([nodes.Const(blank, lineno=line), part], lineno=line)
        nothing = nodes.Const("", lineno=line)
        pieces.append(nodes.CondExpr(tests[-1], named, nothing, lineno=line))
        blank = ""
    join = nodes.And if greeting.needs_all else nodes.Or
    joined = reduce(lambda left, right: join(left, right, lineno=line), tests)
    nameless = nodes.Const(greeting.nameless, lineno=line)
    return nodes.CondExpr(joined, nodes.Concat(pieces, lineno=line), nameless, lineno=line)
