"""The published contract is the same on every version of msgspec that is allowed."""

import enum
from typing import Annotated, Any

import msgspec
from hypothesis import given, strategies as st
from leadflood.api.http.json_schema import build_schemas, normalize

REF = "#/components/schemas/{name}"
# the same struct as msgspec 0.22.0 and 0.23.0 describe it, and with its union turned round
OLDER = {
    "title": "Stock",
    "description": "What is there.\n\n    `counts` by color; `owner` null: nobody's.",
    "type": "object",
    "properties": {
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "owner": {"anyOf": [{"type": "null"}, {"type": "string"}, {"type": "integer"}]},
    },
    "required": ["counts", "owner"],
}
NEWER = {
    "title": "Stock",
    "description": "What is there.\n\n`counts` by color; `owner` null: nobody's.",
    "type": "object",
    "properties": {
        "counts": {
            "type": "object",
            "propertyNames": {"$ref": "#/components/schemas/Color"},
            "additionalProperties": {"type": "integer"},
        },
        "owner": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
    },
    "required": ["counts", "owner"],
}


class Color(enum.StrEnum):
    """Red or blue."""

    RED = "red"
    BLUE = "blue"


class Stock(msgspec.Struct):
    """What is there.

    `counts` by color; `owner` null: nobody's.
    """

    counts: dict[Color, int]
    owner: int | str | None


def test_what_two_versions_of_msgspec_write_is_one_schema() -> None:
    assert msgspec.json.encode(normalize(OLDER)) == msgspec.json.encode(normalize(NEWER))


def test_the_version_that_is_installed_writes_that_schema_too() -> None:
    _, components = build_schemas([Stock], REF)

    assert components["Stock"] == normalize(NEWER)


def test_null_comes_last_in_a_union() -> None:
    _, components = build_schemas([Stock], REF)

    options = components["Stock"]["properties"]["owner"]["anyOf"]
    assert options == [{"type": "integer"}, {"type": "string"}, {"type": "null"}]


def test_limits_of_a_map_s_keys_stay() -> None:
    (schema,), _ = build_schemas([dict[Annotated[str, msgspec.Meta(max_length=40)], int]], REF)

    assert schema["propertyNames"] == {"maxLength": 40}


def test_a_property_called_like_a_keyword_is_a_property() -> None:
    properties = {"description": {"type": "string"}, "propertyNames": {"enum": ["a"]}}
    schema = {"type": "object", "properties": properties, "default": {"description": "  as is"}}

    assert normalize(schema) == schema


TEXTS = ["One.", "One.\n\n    Two:\n      three.", "One.\n\nTwo:\n  three."]
SCHEMAS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.sampled_from([{"type": "null"}, {"type": "string"}, {"enum": ["a", "b"]}, {"$ref": "#/x"}]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=4)}),
        st.fixed_dictionaries({"items": inner, "description": st.sampled_from(TEXTS)}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("abc"), inner)}),
    ),
    max_leaves=12,
)


@given(SCHEMAS)
def test_a_normal_schema_stays_as_it_is(schema: dict[str, Any]) -> None:
    assert normalize(normalize(schema)) == normalize(schema)


@given(st.permutations([{"type": "null"}, {"type": "string"}, {"$ref": "#/x"}, {"enum": [1]}]))
def test_the_order_of_a_union_s_members_does_not_matter(options: list[dict[str, Any]]) -> None:
    normal = normalize({"anyOf": options})

    assert normal == normalize({"anyOf": options[::-1]})
    assert normal["anyOf"][-1] == {"type": "null"}
