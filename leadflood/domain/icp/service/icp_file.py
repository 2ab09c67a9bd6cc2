"""Reads an ICP from TOML (`config/icp.example.toml`); an error names its path and the fix."""

import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
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

MAX_FILE_BYTES = 1_000_000

_AT = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>.*)`")


def read_icp_file(path: Path) -> IcpInput:
    """Read and check the ICP in a file.

    Raises: Invalid naming the file, the fields and what to write instead.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _refuse(
            f"cannot read the ICP file {path} ({error.strerror or error}): give the path of a TOML"
            " file like config/icp.example.toml"
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise _refuse(f"the ICP file {path} is larger than {MAX_FILE_BYTES} bytes: shorten it")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refuse(
            f"the ICP file {path} is not UTF-8 (byte {error.start}): save it as UTF-8"
        ) from error
    try:
        return read_icp(text)
    except Invalid as error:
        raise Invalid(f"{path}: {error.detail}", error.fields, code=error.error_code) from error


def read_icp(text: str) -> IcpInput:
    """Read and check the ICP in a TOML text.

    Raises: Invalid with a problem for each part that breaks a rule.
    """
    try:
        document = tomllib.loads(text.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _refuse(f"this is not TOML: {error}; compare config/icp.example.toml") from error
    given = _convert(document)
    check_icp(given)
    return given


def _convert(document: dict[str, Any]) -> IcpInput:
    """Convert part by part, so that one run of the reader names a fault in each of them."""
    problems: list[FieldProblem] = []
    parts: dict[str, Any] = {}
    rest = dict(document)
    for name, kind in (("target", Target), ("bands", Bands)):
        if name in rest:
            parts[name] = _convert_part(rest.pop(name), kind, name, problems)
    rules = rest.pop("rules", [])
    if isinstance(rules, list):
        parts["rules"] = tuple(
            _convert_part(rule, QualificationRule, f"rules[{position}]", problems)
            for position, rule in enumerate(rules)
        )
    else:
        problems.append(FieldProblem("rules", "must be written as [[rules]], once for each rule"))
    top = _convert_part(rest, IcpInput, "", problems)
    if problems:
        raise Invalid.of(problems, code="icp.file.invalid")
    whole: IcpInput = msgspec.structs.replace(top, **parts)
    return whole


def _convert_part(raw: Any, kind: Any, path: str, problems: list[FieldProblem]) -> Any:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        problems.append(_problem_of(str(error), kind, path))
        return None


def _problem_of(said: str, kind: type[msgspec.Struct], path: str) -> FieldProblem:
    """Turn msgspec's sentence into a path of the file and a fix."""
    found = _AT.search(said)
    inner = found["path"].removeprefix(".") if found else ""
    problem = said[: found.start()] if found else said
    here = ".".join(part for part in (path, inner) if part)
    unknown, missing = _UNKNOWN.search(problem), _MISSING.search(problem)
    if unknown:
        name = unknown["name"]
        return FieldProblem(
            ".".join(part for part in (here, name) if part),
            f"is not a key here: {_suggest(name, _keys_of(kind))}",
        )
    if missing:
        name = missing["name"]
        return FieldProblem(".".join(part for part in (here, name) if part), "is missing: write it")
    wanted = _WANTED.get(re.sub(r"\[.*", "", inner))
    return FieldProblem(
        here or "the file", f"{problem[:1].lower()}{problem[1:]}{_fix(said, wanted)}"
    )


def _fix(said: str, wanted: str | tuple[str, ...] | None) -> str:
    if wanted is None:
        return ": compare config/icp.example.toml"
    if isinstance(wanted, str):
        return f": {wanted}"
    quoted = re.search(r"'(.*?)'", said)
    return f": {_suggest(quoted[1] if quoted else '', wanted)}"


def _suggest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(word, names, n=1) or get_close_matches(word.upper(), names, n=1)
    return f"did you mean {close[0]}?" if close else f"write one of {', '.join(names)}"


def _keys_of(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return kind.__struct_fields__


def _refuse(detail: str) -> Invalid:
    return Invalid(detail, code="icp.file.invalid")


_WORDS = 'write a list of words in quotes, such as ["a", "b"]'
_WANTED: dict[str, str | tuple[str, ...]] = {
    "name": "write words in quotes",
    "offer": "write words in quotes",
    "autopilot": tuple(Autopilot),
    "titles": _WORDS,
    "industries": _WORDS,
    "technologies": _WORDS,
    "countries": 'write ISO codes of two capital letters, such as ["DE", "AT"]',
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
