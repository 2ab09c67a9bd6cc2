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
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from types import MappingProxyType, ModuleType, NoneType
from typing import Any

import msgspec
from typing_extensions import TypedDict, Unpack

from leadflood.api.http.decoding import decode_body, decode_path, decode_query, unknown_parameter
from leadflood.api.http.deprecation import Deprecation
from leadflood.api.http.naming import snake_case
from leadflood.api.http.pagination import Listed, PageRequest, Selection, names_in
from leadflood.api.http.platform import Platform
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import PartialResponse
from leadflood.api.http.unit_of_work import LateUnitOfWork, run_once
from leadflood.api.http.uploads import Upload
from leadflood.engine.errors import LeadfloodError

Handler = Callable[..., Awaitable[Any]]
Parts = Mapping[type, object]
NO_PARTS: Parts = MappingProxyType({})
_PATH_NAME = re.compile(r"\{(\w+)\}")
_BY_NAME = ("caller", "services", "upload", "uow", "late_uow")


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, who may, who answers, how it can fail.

    `is_open`: needs no token. `rate`: the class of its limit. `errors`: those beside what every
    route can answer. `also`: statuses with the same kind of answer as a good one.
    `idempotent`: a POST takes an Idempotency-Key; where not, `reason` says why nobody needs it.
    `commits_itself`: why a handler that writes takes no unit of work. `is_sealed`: the answer holds
    secrets, so it is remembered encrypted.
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
    status: HTTPStatus = HTTPStatus.OK
    errors: tuple[type[LeadfloodError], ...] = ()
    rate: str = "normal"
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
    def name(self) -> str:
        """The route as logs and metrics name it."""
        return f"{self.method} {self.path}"

    @property
    def takes_key(self) -> bool:
        """Whether the route takes an Idempotency-Key."""
        return self.method == "POST" and self.idempotent


class Options(TypedDict, total=False):
    """What a decorator may say of its route; see `Route`."""

    permission: str
    status: HTTPStatus
    errors: tuple[type[LeadfloodError], ...]
    rate: str
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
    """Make a handler the route that shows something."""
    return _route("GET", path, options)


def post(path: str, **options: Unpack[Options]) -> Callable[[Handler], Route]:
    """Make a handler the route that makes or does something, once for an Idempotency-Key."""
    return _route("POST", path, options)


def put(path: str, **options: Unpack[Options]) -> Callable[[Handler], Route]:
    """Make a handler the route that sets something; again changes nothing."""
    return _route("PUT", path, options)


def patch(path: str, **options: Unpack[Options]) -> Callable[[Handler], Route]:
    """Make a handler the route that changes a part of something."""
    return _route("PATCH", path, options)


def delete(path: str, **options: Unpack[Options]) -> Callable[[Handler], Route]:
    """Make a handler the route that takes something away."""
    return _route("DELETE", path, options)


def routes_of(module: ModuleType) -> tuple[Route, ...]:
    """List the routes that a module defines, in the order in which they stand there."""
    return tuple(
        route
        for route in vars(module).values()
        if isinstance(route, Route) and route.handler.__module__ == module.__name__
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
    """What the annotations of a handler say; None: it takes or gives none.

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


class Endpoint:
    """A route at work: plain strings and bytes in, a struct or a page out.

    `services` gives the services of the node's present life; `parts` are those of the server.
    """

    def __init__(
        self, route: Route, services: Callable[[], Platform], parts: Parts = NO_PARTS
    ) -> None:
        self.route = route
        self.signature = signature = Signature.of(route)
        self._services = services
        body = signature.body
        self._decode = msgspec.json.Decoder(body).decode if body is not None else None
        self._path = [(snake_case(name), name, kind) for name, kind in signature.path.items()]
        self._parts = _find_parts(route, signature, parts)
        self.is_versioned = signature.is_versioned
        self._selectable = signature.selectable
        self._is_list = signature.is_list
        self._takes_caller = "caller" in signature.takes
        self._call = self._choose_call(signature.takes)

    def _choose_call(
        self, takes: frozenset[str]
    ) -> Callable[[dict[str, Any], Caller], Awaitable[Any]]:
        if "uow" in takes:
            return self._call_in_unit_of_work
        if "late_uow" in takes:
            return self._call_with_late_unit_of_work
        return self._call_with_services if "services" in takes else self._call_plainly

    async def answer(
        self,
        path: Mapping[str, str],
        query: list[tuple[str, str]],
        body: bytes,
        caller: Caller,
        upload: Upload | None = None,
    ) -> Any:
        """Check what came and ask the handler. Raises: HttpRefused and what the handler raises."""
        arguments: dict[str, Any] = {
            name: decode_path(wire_name, path[wire_name], kind)
            for name, wire_name, kind in self._path
        }
        arguments.update(self._parts)
        selected = self._read_query(query, arguments)
        if self._decode is not None:
            arguments["body"] = decode_body(body, self._decode)
        if self._takes_caller:
            arguments["caller"] = caller
        if self.route.takes:
            arguments["upload"] = upload
        answer = await self._call(arguments, caller)
        return PartialResponse(answer, self._pick(answer, selected)) if selected else answer

    def _read_query(
        self, pairs: list[tuple[str, str]], arguments: dict[str, Any]
    ) -> tuple[str, ...]:
        """Read the parameters; return the fields that were asked for, none: all."""
        if self.signature.query is None:
            if pairs:
                raise unknown_parameter(pairs[0][0])
            return ()
        query = arguments["query"] = decode_query(pairs, self.signature.query)
        if isinstance(query, PageRequest):
            query.require_sound()
        if self._selectable and query.fields:
            return names_in(query.fields, tuple(self._selectable))
        return ()

    def _call_plainly(self, arguments: dict[str, Any], _caller: Caller) -> Awaitable[Any]:
        return self.route.handler(**arguments)

    def _call_with_services(self, arguments: dict[str, Any], _caller: Caller) -> Awaitable[Any]:
        return self.route.handler(**arguments, services=self._services())

    def _call_in_unit_of_work(self, arguments: dict[str, Any], caller: Caller) -> Awaitable[Any]:
        services = self._add_services(arguments)
        work = partial(self.route.handler, **arguments)
        seal = services.accounts.use.seal if self.route.is_sealed else None
        return run_once(services, caller, self.signature.returns, work, seal=seal)

    def _call_with_late_unit_of_work(
        self, arguments: dict[str, Any], caller: Caller
    ) -> Awaitable[Any]:
        services = self._add_services(arguments)
        seal = services.accounts.use.seal if self.route.is_sealed else None
        late_uow: LateUnitOfWork[Any] = LateUnitOfWork(
            services, caller, self.signature.returns, seal
        )
        return self.route.handler(**arguments, late_uow=late_uow)

    def _add_services(self, arguments: dict[str, Any]) -> Platform:
        services = self._services()
        if "services" in self.signature.takes:
            arguments["services"] = services
        return services

    def _pick(self, answer: Any, names: tuple[str, ...]) -> Any:
        """Take the fields asked for, of the thing or of each in the list."""
        pairs = [(name, self._selectable[name]) for name in names]
        if not self._is_list:
            return {name: getattr(answer, attribute) for name, attribute in pairs}
        picked = [
            {name: getattr(item, attribute) for name, attribute in pairs} for item in answer.data
        ]
        return {"data": picked, "pagination": answer.pagination}


def _find_parts(route: Route, signature: Signature, parts: Parts) -> dict[str, object]:
    """Find what the handler is given of the server. Raises: TypeError when it has no such part."""
    unknown = [name for name, kind in signature.parts.items() if kind not in parts]
    if unknown:
        raise TypeError(
            f"{route.name}: the handler's parameters do not fit: neither the path nor the server"
            f" knows {', '.join(unknown)}"
        )
    return {name: parts[kind] for name, kind in signature.parts.items()}
