"""Decoding: bodies, queries and paths into what handlers declare, or a refusal that says why."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
import msgspec.inspect

from leadflood.api.http.choices import name_choices
from leadflood.api.http.problems import HttpRefused
from leadflood.engine.errors import FieldProblem

_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_NUMBER = re.compile(r"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*")
_INSTANT = "write an instant, such as 2026-01-31T12:00:00Z"
_QueryT = TypeVar("_QueryT")


def decode_body(raw: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    """Decode a JSON body. Raises: HttpRefused 400 when it is no JSON, 422 when it does not fit."""
    try:
        decoded = decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _does_not_fit(decoder.type, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = str(error) or "it is nested too deep"
        raise HttpRefused(
            HTTPStatus.BAD_REQUEST, "http.body.malformed", f"the body is not JSON: {detail}"
        ) from error
    if b"\\u0000" in raw:
        _refuse_nul(decoded)
    return decoded


def decode_query(pairs: Sequence[tuple[str, str]], kind: type[_QueryT]) -> _QueryT:
    """Convert the parameters after the question mark; unknown and doubled ones are refused."""
    params: dict[str, str] = {}
    for name, value in pairs:
        if name in params:
            raise _invalid_query(
                name, f"{name} is given twice", "is given twice: give it once", "http.query.doubled"
            )
        _refuse_nul(value, name)
        if value == "null":
            raise _invalid_query(name, f"{name}: leave it out to ask for nothing", "leave it out")
        params[name] = value
    struct: Any = kind  # mypy does not know that a class is hashable
    instants = _instants_of(struct)
    for name in instants & params.keys():
        if _NUMBER.fullmatch(params[name]):
            raise _invalid_query(name, f"{name}: {_INSTANT}", _INSTANT)
    try:
        query = msgspec.convert(params, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _does_not_fit(kind, str(error), "http.query.invalid") from error
    _require_instants(query, instants & params.keys())
    return query


def _require_instants(query: Any, names: Iterable[str]) -> None:
    """Refuse an instant that is beyond the calendar in UTC. Raises: HttpRefused."""
    for field in msgspec.structs.fields(query):
        if field.encode_name in names:
            try:
                getattr(query, field.name).astimezone(UTC)
            except OverflowError as error:
                text = "is beyond the years 1 to 9999 in UTC"
                raise _invalid_query(
                    field.encode_name, f"{field.encode_name} {text}", text
                ) from error


@cache
def _instants_of(kind: type) -> frozenset[str]:
    """Return the parameters that are instants: read leniently, any number would be one too."""
    fields = msgspec.inspect.type_info(kind)
    assert isinstance(fields, msgspec.inspect.StructType)  # noqa: S101 - what every query is
    return frozenset(
        field.encode_name
        for field in fields.fields
        if _holds(field.type, msgspec.inspect.DateTimeType)
    )


def _holds(kind: msgspec.inspect.Type, sought: type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(_holds(each, sought) for each in kind.types)
    return isinstance(kind, sought)


def decode_path(name: str, value: str, kind: Any) -> Any:
    """Convert a part of the path. Raises: HttpRefused 422."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        problem = name_choices(kind, str(error), "")
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "http.path.invalid",
            f"{name}: {problem}",
            (FieldProblem(name, problem),),
        ) from error


def unknown_parameter(name: str) -> HttpRefused:
    """Return the refusal of a parameter by a route that takes none."""
    return _invalid_query(
        name, f"this route takes no parameter {name!r}", "is not known here: leave it out"
    )


def _invalid_query(
    name: str, detail: str, problem: str, code: str = "http.query.invalid"
) -> HttpRefused:
    return HttpRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY, code, detail, (FieldProblem(name, problem),)
    )


def _does_not_fit(kind: Any, text: str, code: str = "http.body.invalid") -> HttpRefused:
    """Turn msgspec's text (`Expected …, got … - at `$.a[0].b``) into a field and its problem."""
    head, separator, location = text.rpartition(" - at `")
    problem, location = (head, location) if separator else (text, "")
    problem = name_choices(kind, problem, location)
    path = location.removeprefix("key` in `").rstrip("`").removeprefix("$").lstrip(".")
    for pattern in (_UNKNOWN, _MISSING):
        if match := pattern.search(problem):
            path = f"{path}.{match[1]}" if path else match[1]
    path = path or "(the whole)"
    return HttpRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY, code, f"{path}: {problem}", (FieldProblem(path, problem),)
    )


def _refuse_nul(value: Any, path: str = "") -> None:
    for location, text in _texts(msgspec.to_builtins(value), path):
        if "\x00" in text:
            raise HttpRefused(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "http.body.nul",
                f"{location}: the character U+0000 cannot be kept",
                (FieldProblem(location, "leave the character U+0000 out"),),
            )


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}.{key}", str(key)
            yield from _texts(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{number}]")
