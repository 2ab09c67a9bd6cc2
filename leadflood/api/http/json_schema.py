"""JSON Schema of our types in one form, whichever version of msgspec writes it.

The published contract must change when we change a type and at no other time. Versions of msgspec
differ in the indentation of descriptions, in the order of unions and in whether they describe the
keys of a map that are names of an enum; Python itself may turn the members of a union round.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]


def build_schemas(kinds: Iterable[Any], ref_template: str) -> tuple[list[Schema], Schema]:
    """Return a schema for each type, and the components that they refer to by name."""
    schemas, components = msgspec.json.schema_components(kinds, ref_template=ref_template)
    return _normalize_list(schemas), _normalize_all(components)


def normalize(schema: Schema) -> Schema:
    """Return the same schema in the form that does not depend on who wrote it."""
    return {
        keyword: _normalize_value(keyword, value)
        for keyword, value in schema.items()
        if not (keyword == "propertyNames" and _are_enum_names(value))
    }


def _are_enum_names(schema: Schema) -> bool:
    """Whether the keys of a map are an enum's names, which only newer versions describe."""
    return "$ref" in schema or "enum" in schema


def _normalize_value(keyword: str, value: Any) -> Any:
    """Return a keyword's value; what is no schema (`default`, `enum`, limits) stays as it is."""
    normalize_value = _BY_KEYWORD.get(keyword)
    is_flag = isinstance(value, bool)  # `additionalProperties: false`
    return value if normalize_value is None or is_flag else normalize_value(value)


def _normalize_list(schemas: Iterable[Schema]) -> list[Schema]:
    return [normalize(schema) for schema in schemas]


def _normalize_union(schemas: Iterable[Schema]) -> list[Schema]:
    return sorted(_normalize_list(schemas), key=_order)


def _normalize_all(schemas: Mapping[str, Schema]) -> Schema:
    return {name: normalize(schema) for name, schema in schemas.items()}


def _normalize_discriminator(discriminator: Schema) -> Schema:
    return {**discriminator, "mapping": dict(sorted(discriminator["mapping"].items()))}


def _order(schema: Schema) -> tuple[bool, bytes]:
    """Sort the members of a union by what they are, null last."""
    return schema.get("type") == "null", msgspec.json.encode(schema, order="deterministic")


_BY_KEYWORD: dict[str, Callable[[Any], Any]] = {
    "additionalProperties": normalize,
    "anyOf": _normalize_union,
    "description": inspect.cleandoc,
    "discriminator": _normalize_discriminator,
    "items": normalize,
    "prefixItems": _normalize_list,
    "properties": _normalize_all,
    "propertyNames": normalize,
}
