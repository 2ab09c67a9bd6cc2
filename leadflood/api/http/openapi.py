"""OpenAPI 3.1 from the routing table."""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from leadflood import __version__
from leadflood.api.http.answer_rights import find_readers
from leadflood.api.http.field_rights import list_hidden_fields
from leadflood.api.http.json_schema import build_schemas
from leadflood.api.http.problems import CONTENT_TYPE, Problem, phrase_of, status_of
from leadflood.api.http.responses import RawResponse, Streamed
from leadflood.api.http.routing import Route, Signature
from leadflood.api.http.uploads import FORM
from leadflood.domain.auth.schemas.roles import Permission

REF = "#/components/schemas/{name}"
_ALWAYS = (
    HTTPStatus.UNPROCESSABLE_ENTITY,  # a parameter that is not known
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_WITH_TOKEN = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
)
_WITH_BODY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)


def describe(routes: Sequence[Route], description: str = "") -> dict[str, Any]:
    """Write the OpenAPI document of a routing table."""
    contracts = [(route, Signature.of(route)) for route in routes]
    kinds = _kinds(contract for _, contract in contracts)
    schemas, components = build_schemas(kinds, ref_template=REF)
    schema_of = dict(zip(map(_key, kinds), schemas, strict=True))
    for _, contract in contracts:
        if contract.selectable:
            schema_of[_part_of(contract)] = _describe_part(contract, schema_of, components)
    for _, contract in contracts:
        _free_hidden(contract, components)
    readers = find_readers(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route, contract in contracts:
        operation = _operation(route, contract, schema_of)
        if route.name in readers:
            _show_reader(operation, route, readers[route.name])
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "leadflood",
            "version": __version__,
            "description": description,
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _free_hidden(contract: Signature, components: dict[str, Any]) -> None:
    """Take fields that a reader may have no right to from those that an answer always has."""
    for field in list_hidden_fields(contract.answer):
        component = components[field.holder.__name__]
        name = field.name.rpartition(".")[2]
        component["required"] = [each for each in component["required"] if each != name]


def _show_reader(operation: dict[str, Any], route: Route, permission: Permission) -> None:
    """Describe what is shown of a change to who may not look at what was changed."""
    operation["x-answer-permission"] = permission.value
    text = f"Without {permission.value}: its ids and its version alone."
    ids = {"type": "object", "description": text}
    for media in operation["responses"][str(route.status.value)]["content"].values():
        media["schema"] = {"anyOf": [media["schema"], ids]}


def _part_of(contract: Signature) -> str:
    return f"part of {_key(contract.answer)}"


def _describe_part(
    contract: Signature, schema_of: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    """Describe an answer of which only some fields may have been asked for."""
    schema = schema_of[_key(contract.answer)]
    name = schema["$ref"].rpartition("/")[2]
    if contract.is_list:
        item = components[name]["properties"]["data"]["items"]["$ref"].rpartition("/")[2]
        components[f"{item}Part"] = _without_required(components[item])
        data = {"type": "array", "items": {"$ref": REF.format(name=f"{item}Part")}}
        properties = {**components[name]["properties"], "data": data}
        components[f"{name}Part"] = {**components[name], "properties": properties}
    else:
        components[f"{name}Part"] = _without_required(components[name])
    return {"anyOf": [schema, {"$ref": REF.format(name=f"{name}Part")}]}


def _without_required(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != "required"}


def _kinds(contracts: Iterable[Signature]) -> list[Any]:
    kinds: dict[Any, Any] = {_key(Problem): Problem}
    for contract in contracts:
        for kind in (contract.body, contract.query, contract.answer, *contract.path.values()):
            if kind is not None and kind not in {RawResponse, Streamed}:
                kinds[_key(kind)] = kind
    return list(kinds.values())


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(route: Route, contract: Signature, schema_of: dict[str, Any]) -> dict[str, Any]:
    name = f"{route.method.lower()} {re.sub(r'[{}]', '', route.path)}"
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", name).strip("_"),
        "summary": contract.summary,
        "tags": [_tag(route.path)],
        "parameters": list(_parameters(route, contract, schema_of)),
        "responses": _responses(route, contract, schema_of),
        "security": [] if route.is_open else [{"token": []}],
    }
    if route.permission:
        operation["x-permission"] = route.permission
    if route.also_needs:
        operation["x-also-needs"] = list(route.also_needs)
    if route.deprecation is not None:
        operation["deprecated"] = True
    if contract.body is not None:
        content = {"application/json": {"schema": schema_of[_key(contract.body)]}}
        is_required = not route.may_be_empty(contract)
        operation["requestBody"] = {"required": is_required, "content": content}
    if route.takes:
        operation["requestBody"] = {"required": True, "content": _files(route.takes)}
    return operation


def _files(takes: tuple[str, ...]) -> dict[str, Any]:
    """Describe a file: the body itself, or the one part of a form."""
    file = {"type": "string", "format": "binary"}
    form = {"type": "object", "properties": {"file": file}, "required": ["file"]}
    return {kind: {"schema": form if kind == FORM else file} for kind in takes}


def _tag(path: str) -> str:
    parts = [part for part in path.split("/") if part and part != "v1"]
    return parts[0] if len(parts) > 0 and path.startswith("/v1/") else "system"


def _parameters(
    route: Route, contract: Signature, schema_of: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    for name, kind in contract.path.items():
        schema = schema_of[_key(kind)]
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if contract.query is not None:
        yield from _query_parameters(contract)
    yield from _headers(route, contract)


def _query_parameters(contract: Signature) -> Iterable[dict[str, Any]]:
    for field in msgspec.structs.fields(contract.query):
        if field.name == "fields" and contract.selectable:
            yield _selection(list(contract.selectable))
            continue
        schema = _plain_schema(field.type)
        if field.default is not msgspec.NODEFAULT and field.default is not None:
            schema = {**schema, "default": msgspec.to_builtins(field.default)}
        yield {"name": field.encode_name, "in": "query", "schema": schema}


def _headers(route: Route, contract: Signature) -> Iterable[dict[str, Any]]:
    if route.takes_key:
        text = "Send the same key with the same body again to get the same answer, done once."
        schema = {"type": "string", "maxLength": 200, "pattern": "^[!-~]*$"}
        yield {"name": "Idempotency-Key", "in": "header", "schema": schema, "description": text}
    if route.method == "GET" and contract.is_versioned:
        text = "The ETag of an earlier answer: 304 when nothing has changed since."
        yield {"name": "If-None-Match", "in": "header", "schema": _TAGS, "description": text}
    if route.takes_if_match:
        text = "The ETag of what you saw: 412 when it has changed since. Without it, it is changed."
        yield {"name": "If-Match", "in": "header", "schema": _TAGS, "description": text}


_TAGS = {"type": "string", "pattern": r'^(\*|"[0-9]{1,9}(-[0-9a-f]{8})?")$'}


def _selection(names: list[str]) -> dict[str, Any]:
    """Describe `fields`: names with commas between."""
    return {
        "name": "fields",
        "in": "query",
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "items": {"enum": names}, "uniqueItems": True},
        "description": "Show only these; none: all.",
    }


def _plain_schema(kind: Any) -> dict[str, Any]:
    """Write the schema of a parameter in place: enums and scalars only."""
    (schema,), components = build_schemas([kind], ref_template="{name}")
    schema = _resolve(schema, components)
    if "anyOf" in schema:
        options = [_resolve(option, components) for option in schema["anyOf"]]
        options = [option for option in options if option.get("type") != "null"]
        return options[0] if len(options) == 1 else {"anyOf": options}
    return dict(schema)


def _resolve(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference stands for; any other schema as it is."""
    resolved: dict[str, Any] = components.get(schema.get("$ref", ""), schema)
    return resolved


_ROWS = {"type": "array", "items": {"type": "object"}}


def _content(route: Route, contract: Signature, schema_of: dict[str, Any]) -> dict[str, Any]:
    """Describe what a good answer holds."""
    if contract.answer is Streamed:
        return {
            media: {"schema": _ROWS if media == "application/json" else {"type": "string"}}
            for media in route.content_type.split(", ")
        }
    key = _part_of(contract) if contract.selectable else _key(contract.answer)
    schema = {"type": "string"} if contract.answer is RawResponse else schema_of[key]
    return {route.content_type.partition(";")[0]: {"schema": schema}}


def _refusals(route: Route, contract: Signature) -> set[HTTPStatus]:
    """Return the statuses with which a route can refuse."""
    statuses = {status_of(error).status for error in route.errors} | set(_ALWAYS)
    if route.takes_if_match:
        statuses |= {HTTPStatus.BAD_REQUEST, HTTPStatus.PRECONDITION_FAILED}
    if not route.is_open:
        statuses |= set(_WITH_TOKEN)
    if route.rate != "none":
        statuses.add(HTTPStatus.TOO_MANY_REQUESTS)
    if route.method == "DELETE":
        statuses.add(HTTPStatus.UNPROCESSABLE_ENTITY)
    if contract.path or contract.query is not None:
        statuses.add(HTTPStatus.REQUEST_URI_TOO_LONG)
    if contract.body is not None or route.takes:
        statuses |= set(_WITH_BODY)
    return statuses


def _responses(route: Route, contract: Signature, schema_of: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": contract.summary or phrase_of(route.status)}
    if contract.answer is not None:
        good["content"] = _content(route, contract, schema_of)
    if contract.is_versioned:
        good["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "Its version."}}
    problem = {CONTENT_TYPE: {"schema": schema_of[_key(Problem)]}}
    bad = {
        str(status.value): {"description": phrase_of(status), "content": problem}
        for status in sorted(_refusals(route, contract))
    }
    also = {str(status.value): {**good, "description": phrase_of(status)} for status in route.also}
    if route.method == "GET" and contract.is_versioned:
        also["304"] = {"description": phrase_of(HTTPStatus.NOT_MODIFIED)}
    return {str(route.status.value): good, **bad, **also}
