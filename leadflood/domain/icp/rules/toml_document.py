"""An ICP as a TOML document; an error names its path in the document and the fix."""

import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import msgspec

from leadflood.domain.icp.rules.validation import check_icp
from leadflood.domain.icp.schemas import (
    Autopilot,
    Bands,
    IcpInput,
    Operator,
    QualificationRule,
    RuleField,
    RuleKind,
    Target,
)
from leadflood.engine.errors import FieldProblem, Invalid

_LOCATION = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"missing required field `(?P<name>.*)`")


def parse_icp(text: str) -> IcpInput:
    """Read and check the ICP in a TOML text.

    Raises: Invalid with a problem for each part that breaks a rule.
    """
    try:
        document = tomllib.loads(text.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise invalid_file(f"this is not TOML: {error}; compare config/icp.example.toml") from error
    return check_icp(_convert(document))


def invalid_file(detail: str) -> Invalid:
    """Return the error of a file that is no ICP."""
    return Invalid(detail, code="icp.file.invalid")


def _convert(document: dict[str, Any]) -> IcpInput:
    """Convert part by part, so that one run of the reader names a fault in each of them."""
    problems: list[FieldProblem] = []
    parts: dict[str, Any] = {}
    top_level = dict(document)
    for name, kind in (("target", Target), ("bands", Bands)):
        if name in top_level:
            parts[name] = _convert_part(top_level.pop(name), kind, name, problems)
    rules = top_level.pop("rules", [])
    if isinstance(rules, list):
        parts["rules"] = tuple(
            _convert_part(rule, QualificationRule, f"rules[{position}]", problems)
            for position, rule in enumerate(rules)
        )
    else:
        problems.append(FieldProblem("rules", "must be written as [[rules]], once for each rule"))
    top = _convert_part(top_level, IcpInput, "", problems)
    if problems:
        raise Invalid.of(problems, code="icp.file.invalid")
    request: IcpInput = msgspec.structs.replace(top, **parts)
    return request


def _convert_part(raw: Any, kind: Any, path: str, problems: list[FieldProblem]) -> Any:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        problems.append(_problem_of(str(error), kind, path))
        return None


def _problem_of(message: str, kind: type[msgspec.Struct], path: str) -> FieldProblem:
    """Turn msgspec's sentence into a path of the file and a fix."""
    location = _LOCATION.search(message)
    inner = location["path"].removeprefix(".") if location else ""
    problem = message[: location.start()] if location else message
    here = _join(path, inner)
    unknown, missing = _UNKNOWN_FIELD.search(problem), _MISSING_FIELD.search(problem)
    if unknown:
        name = unknown["name"]
        suggestion = _suggest(name, kind.__struct_fields__)
        return FieldProblem(_join(here, name), f"is not a key here: {suggestion}")
    if missing:
        return FieldProblem(_join(here, missing["name"]), "is missing: write it")
    fix = _fix(message, _HINTS.get(re.sub(r"\[.*", "", inner)))
    return FieldProblem(here or "the file", f"{problem[:1].lower()}{problem[1:]}{fix}")


def _fix(message: str, hint: str | tuple[str, ...] | None) -> str:
    if hint is None:
        return ": compare config/icp.example.toml"
    if isinstance(hint, str):
        return f": {hint}"
    quoted = re.search(r"'(.*?)'", message)
    return f": {_suggest(quoted[1] if quoted else '', hint)}"


def _suggest(word: str, names: Iterable[str]) -> str:
    names = list(names)
    close = get_close_matches(word, names, n=1) or get_close_matches(word.upper(), names, n=1)
    return f"did you mean {close[0]}?" if close else f"write one of {', '.join(names)}"


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)


_WORD_LIST = 'write a list of words in quotes, such as ["a", "b"]'
_HINTS: dict[str, str | tuple[str, ...]] = {
    "name": "write words in quotes",
    "offer": "write words in quotes",
    "autopilot": tuple(Autopilot),
    "titles": _WORD_LIST,
    "industries": _WORD_LIST,
    "technologies": _WORD_LIST,
    "countries": 'write names or codes of countries in quotes, such as ["DE", "Austria"]',
    "company_size_min": "write a whole number of people",
    "company_size_max": "write a whole number of people",
    "medium": "write points above 0, up to 100",
    "high": "write points above 0, up to 100",
    "kind": tuple(RuleKind),
    "field": tuple(RuleField),
    "operator": tuple(Operator),
    "value": "write words, a number, true or false, or a list of these",
    "weight": "write a number from 0 to 1000",
}
