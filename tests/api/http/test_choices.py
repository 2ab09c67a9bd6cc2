from enum import Enum, IntEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from leadflood.api.http.choices import MOST_NAMED
from leadflood.api.http.decoding import decode_body, decode_path, decode_query
from leadflood.api.http.problems import HttpRefused


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Inner(msgspec.Struct, rename="camel"):
    main_colour: Annotated[Colour, msgspec.Meta(extra={"right": "x"})] | None = None


class Body(msgspec.Struct):
    colour: Colour | None = None
    size: Size | None = None
    shape: Literal["round", "square"] | None = None
    colours: tuple[Colour, ...] = ()
    pair: tuple[int, Colour] | None = None
    by_name: dict[str, list[Colour]] = {}
    by_colour: dict[Colour, int] = {}
    inner: tuple[Inner, ...] = ()
    again: "Body | None" = None


class Query(msgspec.Struct, rename="camel"):
    first_colour: Colour | None = None


@pytest.mark.parametrize(
    ("raw", "path", "problem"),
    [
        ({"colour": "green"}, "colour", "'green' is none of: red, blue"),
        ({"size": 3}, "size", "3 is none of: 1, 2"),
        ({"shape": "oval"}, "shape", "'oval' is none of: round, square"),
        ({"colours": ["red", "green"]}, "colours[1]", "'green' is none of: red, blue"),
        ({"pair": [1, "green"]}, "pair[1]", "'green' is none of: red, blue"),
        ({"by_name": {"a": ["green"]}}, "by_name[...][0]", "'green' is none of: red, blue"),
        ({"by_colour": {"green": 1}}, "by_colour", "'green' is none of: red, blue"),
        ({"inner": [{"mainColour": "x"}]}, "inner[0].mainColour", "'x' is none of: red, blue"),
        ({"again": {"shape": "oval"}}, "again.shape", "'oval' is none of: round, square"),
        ({"colour": "a - at `$.b`"}, "colour", "'a - at `$.b`' is none of: red, blue"),
        ({"colour": 1}, "colour", "Expected `str | null`, got `int`"),
    ],
)
def test_a_wrong_choice_in_a_body_names_the_right_ones(raw: Any, path: str, problem: str) -> None:
    with pytest.raises(HttpRefused) as refused:
        decode_body(msgspec.json.encode(raw), msgspec.json.Decoder(Body))

    assert [(field.path, field.problem) for field in refused.value.fields] == [(path, problem)]


def test_a_wrong_choice_in_a_query_or_a_path_names_the_right_ones() -> None:
    with pytest.raises(HttpRefused, match="firstColour: 'green' is none of: red, blue"):
        decode_query([("firstColour", "green")], Query)
    with pytest.raises(HttpRefused, match="colour: 'green' is none of: red, blue"):
        decode_path("colour", "green", Colour)


def test_of_very_many_choices_the_first_are_named() -> None:
    values = tuple(f"v{number}" for number in range(MOST_NAMED + 50))
    many: Any = Literal[values]

    with pytest.raises(HttpRefused) as refused:
        decode_path("many", "x", many)

    assert refused.value.detail.count(", ") == MOST_NAMED - 1
