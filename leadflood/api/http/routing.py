"""Routing: the decorator above a handler and the handler's annotations are its whole contract.

    @post("/v1/things/{thingId}/parts", permission="things:write", status=HTTPStatus.CREATED)
    async def add_part(thing_id: UUID, body: NewPart, services: Services, uow: UnitOfWork) -> Part:
        '''Add a part to a thing.'''

`body` and `query` are structs, the names in the path are parameters in snake_case, `caller` is who
asks, `services` what the process offers, `uow` the transaction of the change. A parameter of any
other name is a part of the server, found by its type. The return annotation is the answer.
Decoding, checking, encoding and the OpenAPI document come from these, prepared once.
"""

import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from types import ModuleType, NoneType
from typing import Any

import msgspec
from typing_extensions import TypedDict, Unpack

from leadflood.api.http.deprecation import Deprecation
from leadflood.api.http.idempotency import KEPT
from leadflood.api.http.naming import snake_case
from leadflood.api.http.pagination import Listed, PageRequest, Selection
from leadflood.engine.errors import LeadfloodError

Handler = Callable[..., Awaitable[Any]]
_PATH_NAME = re.compile(r"\{(\w+)\}")
_BY_NAME = ("caller", "services", "upload", "uow", "late_uow")


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A route: path, permission, handler, possible problems.

    `also_needs`: permissions needed besides, all of them.
    `is_open`: needs no token. `rate`: the class of its limit. `errors`: those beside what every
    route can answer. `also`: statuses with the same kind of answer as a good one.
    `idempotent`: a POST takes an Idempotency-Key; where not, `reason` says why nobody needs it.
    `commits_itself`: why a handler that writes takes no unit of work. `is_sealed`: the answer holds
    secrets, so it is remembered encrypted. `remembers_seconds`: how long it is kept for its key.
    `takes_if_match`: the handler compares `caller.if_match`. `shows_more`: the answer holds more
    than its version counts, so its ETag changes with that too.
    `shows`: what a page holds, where it is JSON. `takes`: the content types of a file that the
    handler reads by itself (`upload`). `streams`: can also be a WebSocket.
    `deprecation` None: it is there to stay.
    """

    method: str
    path: str
    handler: Handler
    permission: str = ""
    also_needs: tuple[str, ...] = ()
    status: HTTPStatus = HTTPStatus.OK
    errors: tuple[type[LeadfloodError], ...] = ()
    rate: str = "normal"
    remembers_seconds: float = KEPT.total_seconds()
    is_open: bool = False
    idempotent: bool = True
    reason: str = ""
    commits_itself: str = ""
    is_sealed: bool = False
    takes_if_match: bool = False
    shows_more: bool = False
    streams: bool = False
    takes: tuple[str, ...] = ()
    deprecation: Deprecation | None = None
    also: tuple[HTTPStatus, ...] = ()
    shows: Any = None
    content_type: str = "application/json"

    @property
    def permissions(self) -> tuple[str, ...]:
        """All permissions that the route needs; none: it is open."""
        return (self.permission, *self.also_needs) if self.permission else ()

    @property
    def name(self) -> str:
        """The route as logs and metrics name it."""
        return f"{self.method} {self.path}"

    @property
    def takes_key(self) -> bool:
        """Whether the route takes an Idempotency-Key."""
        return self.method == "POST" and self.idempotent

    def may_be_empty(self, signature: "Signature") -> bool:
        """Whether no body at all is taken as one without fields: nothing in it is required."""
        if self.method not in {"POST", "PUT"} or signature.body is None:
            return False
        return not any(field.required for field in msgspec.structs.fields(signature.body))


class Options(TypedDict, total=False):
    """Options of a route's decorator; see `Route`."""

    permission: str
    also_needs: tuple[str, ...]
    status: HTTPStatus
    errors: tuple[type[LeadfloodError], ...]
    rate: str
    remembers_seconds: float
    is_open: bool
    idempotent: bool
    reason: str
    commits_itself: str
    is_sealed: bool
    takes_if_match: bool
    shows_more: bool
    streams: bool
    takes: tuple[str, ...]
    deprecation: Deprecation
    also: tuple[HTTPStatus, ...]
    shows: Any
    content_type: str


def get(path: str, **options: Unpack[Options]) -> Callable[[Handler], Route]:
    """Declare a GET route: shows something."""
    return _route("GET", path, options)


def post(path: str, **options: Unpack[Options]) -> Callable[[Handler], Route]:
    """Declare a POST route: creates or does something, once for an Idempotency-Key."""
    return _route("POST", path, options)


def put(path: str, **options: Unpack[Options]) -> Callable[[Handler], Route]:
    """Declare a PUT route: sets something; repeated, it changes nothing."""
    return _route("PUT", path, options)


def patch(path: str, **options: Unpack[Options]) -> Callable[[Handler], Route]:
    """Declare a PATCH route: changes a part of something."""
    return _route("PATCH", path, options)


def delete(path: str, **options: Unpack[Options]) -> Callable[[Handler], Route]:
    """Declare a DELETE route: removes something."""
    return _route("DELETE", path, options)


def routes_of(module: ModuleType) -> tuple[Route, ...]:
    """List the routes that a module defines, in the order in which they stand there."""
    return tuple(
        route
        for route in vars(module).values()
        if isinstance(route, Route) and route.handler.__module__ == module.__name__
    )


def list_shadowed(routes: Sequence[Route]) -> list[tuple[str, str, tuple[str, ...]]]:
    """List (method, path, methods of that path) where a name in a path would be read as an id.

    `PATCH /v1/leads/bulk` is no change of a lead named bulk: only `POST` is for that path.
    """
    methods: dict[str, set[str]] = {}
    for route in routes:
        methods.setdefault(route.path, set()).add(route.method)
    return [
        (method, path, tuple(sorted(methods[path])))
        for path in methods
        for pattern in methods
        if path != pattern and _covers(pattern, path)
        for method in sorted(methods[pattern] - methods[path])
    ]


def _covers(pattern: str, path: str) -> bool:
    """Whether a path with names in the place of ids is one that a pattern with ids takes."""
    parts, names = pattern.split("/"), path.split("/")
    return len(parts) == len(names) and all(
        part == name or (part.startswith("{") and not name.startswith("{"))
        for part, name in zip(parts, names, strict=True)
    )


def _route(method: str, path: str, options: Options) -> Callable[[Handler], Route]:
    def make(handler: Handler) -> Route:
        route = Route(method=method, path=path, handler=handler, **options)
        signature = Signature.of(route)
        if bool(route.permission) == route.is_open:
            raise TypeError(f"{route.name}: name its permission, or say is_open")
        if writes_unnoticed(route, signature):
            raise TypeError(
                f"{route.name}: take `uow: UnitOfWork`, or say why not with"
                " idempotent=False and a reason, or with commits_itself"
            )
        return route

    return make


def writes_unnoticed(route: Route, signature: "Signature") -> bool:
    """Whether a route that writes forgot its transaction, and with it its Idempotency-Key."""
    is_reading = route.method == "GET" or not route.idempotent or bool(route.commits_itself)
    return not is_reading and not signature.takes & {"uow", "late_uow"}


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The annotations of a handler; None: it takes or returns none.

    `takes`: which of caller, services, upload and units of work it is given. `parts`: what it is
    given of the server, by name. `returns` is what is remembered for an Idempotency-Key, `answer`
    what is shown.
    """

    body: Any
    query: Any
    path: dict[str, Any]
    answer: Any
    returns: Any
    takes: frozenset[str]
    parts: dict[str, type]
    summary: str

    @property
    def is_versioned(self) -> bool:
        """Whether the answer has a version, which is its ETag."""
        return "version" in _fields_of(self.answer)

    @property
    def selectable(self) -> dict[str, str]:
        """The fields that `fields` may name, with their Python names; else nothing."""
        if not (isinstance(self.query, type) and issubclass(self.query, Selection | PageRequest)):
            return {}
        (item,) = typing.get_args(self.answer) if self.is_list else (self.answer,)
        return _fields_of(item)

    @property
    def is_list(self) -> bool:
        """Whether the answer is a page of a list."""
        return typing.get_origin(self.answer) is Listed

    @staticmethod
    def of(route: Route) -> "Signature":
        """Read a handler's annotations. Raises: TypeError when they do not fit the path."""
        hints = typing.get_type_hints(route.handler, include_extras=True)
        answer = hints.pop("return", NoneType)
        names = _PATH_NAME.findall(route.path)
        path = {name: hints.pop(snake_case(name)) for name in names if snake_case(name) in hints}
        body, query = hints.pop("body", None), hints.pop("query", None)
        takes = frozenset({name for name in _BY_NAME if hints.pop(name, None) is not None})
        if len(path) != len(names) or ("upload" in takes) != bool(route.takes):
            raise TypeError(f"{route.name}: the handler's parameters do not fit the path")
        if not route.idempotent and not route.reason:
            raise TypeError(f"{route.name}: say why it takes no Idempotency-Key")
        summary = (inspect.getdoc(route.handler) or "").partition("\n")[0].rstrip(".")
        return Signature(
            body=body,
            query=query,
            path=path,
            answer=route.shows or (None if answer is NoneType else answer),
            returns=answer,
            takes=takes,
            parts=hints,
            summary=summary,
        )


def _fields_of(kind: Any) -> dict[str, str]:
    """Return a struct's fields as JSON names them, with their Python names."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return {}
    return {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
