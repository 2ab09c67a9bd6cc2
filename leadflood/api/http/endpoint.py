"""Endpoints: a route at work, from plain strings and bytes to what its handler returns."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

import msgspec

from leadflood.api.http.answer_rights import AnswerRights
from leadflood.api.http.decoding import decode_body, decode_path, decode_query, unknown_parameter
from leadflood.api.http.field_rights import (
    list_guarded_fields,
    list_hidden_fields,
    require_field_rights,
)
from leadflood.api.http.idempotency import AnswerMemory
from leadflood.api.http.naming import snake_case
from leadflood.api.http.pagination import PageRequest, names_in
from leadflood.api.http.platform import Platform
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import PartialResponse
from leadflood.api.http.routing import Route, Signature
from leadflood.api.http.unit_of_work import LateUnitOfWork, run_once
from leadflood.api.http.uploads import Upload
from leadflood.domain.auth.schemas.roles import Permission

Parts = Mapping[type, object]
NO_PARTS: Parts = MappingProxyType({})


class Endpoint:
    """A route at work: plain strings and bytes in, a struct or a page out.

    `services` gives the services of the node's present life; `parts` are those of the server;
    `reader` is the permission that a change's answer needs besides.
    """

    def __init__(
        self,
        route: Route,
        services: Callable[[], Platform],
        parts: Parts = NO_PARTS,
        reader: Permission | None = None,
    ) -> None:
        self.route = route
        self.signature = signature = Signature.of(route)
        self._services = services
        body = signature.body
        self._decoder = None if body is None else msgspec.json.Decoder(body)
        self._guarded = list_guarded_fields(body)
        self._rights = AnswerRights(list_hidden_fields(signature.answer), reader)
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
        if self._decoder is not None:
            arguments["body"] = decode_body(body, self._decoder)
            require_field_rights(self._guarded, arguments["body"], caller.principal)
        if self._takes_caller:
            arguments["caller"] = caller
        if self.route.takes:
            arguments["upload"] = upload
        answer = await self._call(arguments, caller)
        if selected:
            answer = PartialResponse(answer, self._pick(answer, selected))
        return self._rights.cut(answer, caller.principal)

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
        memory = self._memory(services)
        return run_once(services, caller, self.signature.returns, work, memory=memory)

    def _call_with_late_unit_of_work(
        self, arguments: dict[str, Any], caller: Caller
    ) -> Awaitable[Any]:
        services = self._add_services(arguments)
        late_uow: LateUnitOfWork[Any] = LateUnitOfWork(
            services, caller, self.signature.returns, self._memory(services)
        )
        return self.route.handler(**arguments, late_uow=late_uow)

    def _memory(self, services: Platform) -> AnswerMemory:
        seal = services.accounts.use.seal if self.route.is_sealed else None
        return AnswerMemory(seal=seal, kept=timedelta(seconds=self.route.remembers_seconds))

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
