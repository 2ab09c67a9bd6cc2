"""Typed routing: a row of the table and the handler's annotations are the whole contract.

`body` and `query` are structs, the names in the path are the other parameters, `caller` tells
who asks; the return annotation is the answer. Decoding, checking, encoding and the OpenAPI
document come from these, once.
"""

import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from types import NoneType
from typing import Any

import msgspec

from leadflood.api.edge import Caller, Page
from leadflood.api.listing import Listed, Paging, Selection, names_in
from leadflood.api.problems import HttpRefused
from leadflood.api.retirement import Retirement
from leadflood.api.uploads import Upload
from leadflood.engine.errors import FieldProblem, LeadfloodError

Handler = Callable[..., Awaitable[Any]]
_PATH_NAME = re.compile(r"\{(\w+)\}")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row: what is asked, who may, who answers, how it can fail.

    `is_open`: needs no token. `rate`: the class of its limit. Every POST takes an Idempotency-Key
    but where `is_idempotent` is False and `why_repeatable` says why nobody needs it. `streams`:
    can also be a WebSocket. `errors` beside those that every route can answer; `also` statuses
    with the same kind of answer as a good one. `shows` is what a page holds, where it is JSON.
    `takes_if_match`: the handler compares `caller.if_match`. `shows_more`: the answer holds more
    than its version counts, so its ETag changes with that too. `takes`: the content types of a file
    that the handler reads by itself (`upload`). `retirement` None: it is there to stay.
    """

    method: str
    path: str
    handler: Handler
    permission: str
    status: HTTPStatus = HTTPStatus.OK
    errors: tuple[type[LeadfloodError], ...] = ()
    rate: str = "normal"
    is_open: bool = False
    is_idempotent: bool = True
    why_repeatable: str = ""
    takes_if_match: bool = False
    shows_more: bool = False
    streams: bool = False
    takes: tuple[str, ...] = ()
    retirement: Retirement | None = None
    also: tuple[HTTPStatus, ...] = ()
    shows: Any = None
    content_type: str = "application/json"

    @property
    def name(self) -> str:
        """Tell the route as logs and metrics name it."""
        return f"{self.method} {self.path}"

    @property
    def takes_key(self) -> bool:
        """Tell whether the route takes an Idempotency-Key."""
        return self.method == "POST" and self.is_idempotent


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What the annotations of a handler say; None: it takes or gives none."""

    body: Any
    query: Any
    path: dict[str, Any]
    answer: Any
    wants_caller: bool
    summary: str

    @property
    def is_versioned(self) -> bool:
        """Tell whether the answer has a version, which is its ETag."""
        return "version" in _fields_of(self.answer)

    @property
    def selectable(self) -> dict[str, str]:
        """Tell the fields that `fields` may name, with their Python names; else nothing."""
        if not (isinstance(self.query, type) and issubclass(self.query, Selection)):
            return {}
        (item,) = typing.get_args(self.answer) if self.is_list else (self.answer,)
        return _fields_of(item)

    @property
    def is_list(self) -> bool:
        """Tell whether the answer is a page of a list."""
        return typing.get_origin(self.answer) is Listed

    @staticmethod
    def of(route: Route) -> "Contract":
        """Read a handler's annotations. Raises: TypeError when they do not fit the path."""
        hints = typing.get_type_hints(route.handler, include_extras=True)
        answer = hints.pop("return", NoneType)
        names = _PATH_NAME.findall(route.path)
        path = {name: hints.pop(snake(name)) for name in names if snake(name) in hints}
        body, query = hints.pop("body", None), hints.pop("query", None)
        wants_caller = hints.pop("caller", None) is Caller
        wants_upload = hints.pop("upload", None) is Upload
        if hints or len(path) != len(names) or wants_upload != bool(route.takes):
            raise TypeError(f"{route.name}: the handler's parameters do not fit the path")
        if not route.is_idempotent and not route.why_repeatable:
            raise TypeError(f"{route.name}: say why it takes no Idempotency-Key")
        summary = (inspect.getdoc(route.handler) or "").partition("\n")[0].rstrip(".")
        return Contract(
            body=body, query=query, path=path,
            answer=route.shows or (None if answer is NoneType else answer),
            wants_caller=wants_caller, summary=summary,
        )  # fmt: skip


def _fields_of(kind: Any) -> dict[str, str]:
    """Tell a struct's fields as JSON names them, with their Python names."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return {}
    return {field.encode_name: field.name for field in msgspec.structs.fields(kind)}


def snake(name: str) -> str:
    """Tell the Python name of a name in a path."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


class Part(msgspec.Struct, frozen=True):
    """An answer of which only some fields are shown."""

    whole: Any
    shown: Any


class Endpoint:
    """A route at work: plain strings and bytes in, a struct or a page out."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.contract = Contract.of(route)
        body = self.contract.body
        self._decode = msgspec.json.Decoder(body).decode if body is not None else None
        self._path = [(snake(name), name, kind) for name, kind in self.contract.path.items()]
        self.is_versioned = self.contract.is_versioned
        self._selectable = self.contract.selectable
        self._is_list = self.contract.is_list

    async def answer(
        self,
        path: Mapping[str, str],
        query: list[tuple[str, str]],
        body: bytes,
        caller: Caller,
        upload: Upload | None = None,
    ) -> Any:
        """Check what came and ask the handler. Raises: HttpRefused and what the handler raises."""
        given: dict[str, Any] = {
            own_name: _read_path(name, path[name], kind) for own_name, name, kind in self._path
        }
        wanted: tuple[str, ...] = ()
        if self.contract.query is not None:
            asked = given["query"] = read_query(query, self.contract.query)
            if isinstance(asked, Paging):
                asked.require_sound()
            if self._selectable and asked.fields:
                wanted = names_in(asked.fields, tuple(self._selectable))
        elif query:
            raise _unknown_parameter(query[0][0])
        if self._decode is not None:
            given["body"] = read_body(body, self._decode)
        if self.contract.wants_caller:
            given["caller"] = caller
        if self.route.takes:
            given["upload"] = upload
        answer = await self.route.handler(**given)
        return Part(answer, self._pick(answer, wanted)) if wanted else answer

    def _pick(self, answer: Any, names: tuple[str, ...]) -> Any:
        """Take the fields asked for, of the thing or of each in the list."""
        pairs = [(name, self._selectable[name]) for name in names]
        if not self._is_list:
            return {name: getattr(answer, attribute) for name, attribute in pairs}
        picked = [
            {name: getattr(item, attribute) for name, attribute in pairs} for item in answer.data
        ]
        return {"data": picked, "pagination": answer.pagination}


def encode(answer: Any) -> bytes:
    """Write an answer as JSON."""
    return msgspec.json.encode(answer)


def is_page(answer: object) -> typing.TypeGuard[Page]:
    """Tell whether an answer is not JSON."""
    return isinstance(answer, Page)


def read_body(raw: bytes, decode: Callable[[bytes], Any]) -> Any:
    """Decode a JSON body. Raises: HttpRefused 400 when it is no JSON, 422 when it does not fit."""
    try:
        decoded = decode(raw)
    except msgspec.ValidationError as error:
        raise _does_not_fit(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = str(error) or "it is nested too deep"
        raise HttpRefused(
            HTTPStatus.BAD_REQUEST, "http.body.malformed", f"the body is not JSON: {detail}"
        ) from error
    if b"\\u0000" in raw:
        _refuse_nul(decoded)
    return decoded


def read_query(pairs: list[tuple[str, str]], kind: Any) -> Any:
    """Convert the parameters after the question mark; unknown and doubled ones are refused."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            problem = FieldProblem(name, "is given twice: give it once")
            raise HttpRefused(
                HTTPStatus.UNPROCESSABLE_ENTITY, "http.query.doubled",
                f"{name} is given twice", (problem,),
            )  # fmt: skip
        _refuse_nul(value, name)
        if value == "null":
            raise _cannot_be_null(name)
        given[name] = value
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _does_not_fit(str(error), "http.query.invalid") from error


def _read_path(name: str, value: str, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY, "http.path.invalid", f"{name}: {error}",
            (FieldProblem(name, str(error)),),
        ) from error  # fmt: skip


def _unknown_parameter(name: str) -> HttpRefused:
    problem = FieldProblem(name, "is not known here: leave it out")
    return HttpRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY, "http.query.invalid",
        f"this route takes no parameter {name!r}", (problem,),
    )  # fmt: skip


def _cannot_be_null(name: str) -> HttpRefused:
    return HttpRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY, "http.query.invalid",
        f"{name}: leave it out to ask for nothing", (FieldProblem(name, "leave it out"),),
    )  # fmt: skip


def _does_not_fit(text: str, code: str = "http.body.invalid") -> HttpRefused:
    """Turn msgspec's text (`Expected …, got … - at `$.a[0].b``) into a field and its problem."""
    problem, _, where = text.partition(" - at `")
    path = where.removeprefix("key` in `").rstrip("`").removeprefix("$").lstrip(".")
    for pattern in (_UNKNOWN, _MISSING):
        if found := pattern.search(problem):
            path = f"{path}.{found[1]}" if path else found[1]
    told = path or "(the whole)"
    return HttpRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY, code, f"{told}: {problem}", (FieldProblem(told, problem),)
    )


def _refuse_nul(value: Any, path: str = "") -> None:
    for where, text in _texts(msgspec.to_builtins(value), path):
        if "\x00" in text:
            raise HttpRefused(
                HTTPStatus.UNPROCESSABLE_ENTITY, "http.body.nul",
                f"{where}: the character U+0000 cannot be kept",
                (FieldProblem(where, "leave the character U+0000 out"),),
            )  # fmt: skip


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
