import pycountry
import pytest
from babel import localedata
from leadflood.contracts.normalization import country_names
from leadflood.contracts.normalization.cells import read_value
from leadflood.contracts.normalization.countries import (
    country_code,
    country_name,
    find_country,
    nearest_country,
    read_country,
)
from leadflood.contracts.values import FieldName

CODES = sorted(country.alpha_2 for country in pycountry.countries)


@pytest.mark.parametrize("code", CODES)
def test_a_country_is_found_by_its_code_and_by_the_name_it_is_given(code: str) -> None:
    name = country_name(code)

    assert name
    assert find_country(code) == find_country(code.lower()) == code
    assert find_country(name) == find_country(f"  {name.upper()} ") == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Germany", "DE"),
        ("Federal Republic of Germany", "DE"),
        ("USA", "US"),
        ("u.s.", "US"),
        ("United States of America", "US"),
        ("UK", "GB"),
        ("Great  Britain", "GB"),
        ("Scotland", "GB"),
        ("Holland", "NL"),
        ("The Netherlands", "NL"),
        ("Korea, Republic of", "KR"),
        ("Russian Federation", "RU"),
        ("Côte d'Ivoire", "CI"),
        ("Cote d'Ivoire", "CI"),
        ("Ivory Coast", "CI"),
        ("Türkiye", "TR"),
        ("Turkey", "TR"),
        ("Czechia", "CZ"),
        ("Czech Republic", "CZ"),
        ("Viet Nam", "VN"),
        ("Vietnam", "VN"),
        ("Venezuela, Bolivarian Republic of", "VE"),
        ("Democratic Republic of the Congo", "CD"),
        ("Republic of the Congo", "CG"),
        ("Macedonia (FYROM)", "MK"),
        ("Swaziland", "SZ"),
        ("Burma", "MM"),
    ],
)
def test_a_country_is_found_by_every_name_that_people_and_providers_use(
    text: str, code: str
) -> None:
    assert find_country(text) == code


@pytest.mark.parametrize("text", ["", " ", "XX", "Atlantis", "Germany, Berlin", "EU"])
def test_what_names_no_country_is_none(text: str) -> None:
    assert find_country(text) is None


def test_a_country_is_named_as_people_write_it() -> None:
    assert [country_name(code) for code in ("TR", "cz", "RU", "TW", "BO", "GB", "XX")] == [
        "Turkey",
        "Czech Republic",
        "Russia",
        "Taiwan",
        "Bolivia",
        "United Kingdom",
        None,
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [("Germany", "DE"), ("deutschland", "DE"), ("USA", "US"), ("gb", "GB"), ("Atlantis", None)],
)
def test_a_country_is_its_code(text: str, code: str | None) -> None:
    assert read_value(FieldName.COUNTRY, text) == code


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("DEU", "DE", ()),
        ("gbr", "GB", ()),
        ("276", "DE", ()),
        ("40", "AT", ()),
        ("840.0", "US", ()),
        ("America", "US", ()),
        ("Russland", "RU", ()),
        ("Allemagne", "DE", ()),
        ("ドイツ", "DE", ()),
        ("भारत", "IN", ()),
        ("\U0001f1e9\U0001f1ea", "DE", ()),
        ("Bosnia & Herzegovina", "BA", ()),
        ("Guinea-Bissau", "GW", ()),
        ("Kosovo", "XK", ()),
        ("Germany (DE)", "DE", ()),
        ("DE - Germany", "DE", ()),
        ("Bavaria, Germany", "DE", ("Bavaria",)),
        ("Germany, Berlin", "DE", ("Berlin",)),
        ("Berlin, DE", "DE", ("Berlin",)),
        ("CA, USA", "US", ("CA",)),
        ("Atlanta, Georgia, USA", "US", ("Atlanta", "Georgia")),
    ],
)
def test_a_country_is_read_as_people_write_it(text: str, code: str, place: tuple[str, ...]) -> None:
    read = read_country(text)

    assert (read.code, read.place, read.note) == (code, place, None)


@pytest.mark.parametrize(
    "text",
    [
        *("Georgia", "Congo", "Kongo", "Virgin Islands", "San Francisco, CA", "Wilmington, DE"),
        *("Germany / Austria", "Springfield, IL"),
    ],
)
def test_a_country_that_can_be_two_is_told(text: str) -> None:
    read = read_country(text)

    assert read.code is None
    assert read.note


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("Germny", ("DE", "Germany")),
        ("Untied States", ("US", "United States")),
        ("Deutschlnad", ("DE", "Germany")),
        ("zzz", None),
    ],
)
def test_the_nearest_country_is_suggested(text: str, near: tuple[str, str] | None) -> None:
    assert nearest_country(text) == near


def test_a_country_is_read_by_its_name_in_every_language() -> None:
    unread = 0
    for code, name in country_names.list_names(localedata.locale_identifiers()):
        read = country_code(name)
        unread += read is None
        assert read in {code, None} or len(name) < country_names.LEAST_CHARS, (name, code, read)

    assert unread < 700
