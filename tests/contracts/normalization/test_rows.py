import pytest
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.rows import ReadRow, read_row
from leadflood.contracts.values import FieldName

F = FieldName


def read(default: str | None = None, **cells: str) -> ReadRow:
    """Read cells by their fields' names."""
    return read_row({FieldName(name): [text] for name, text in cells.items()}, default)


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        ({"first_name": "Jennifer", "last_name": "Null"}, "Null"),
        ({"first_name": "Hyun-soo", "last_name": "Na"}, "Na"),
        ({"first_name": "Zoltan", "last_name": "Test"}, "Test"),
        ({"first_name": "jennifer", "last_name": "null", "email": "jennifer.null@a.de"}, "null"),
        ({"first_name": "Jennifer", "last_name": "NULL"}, None),
        ({"first_name": "Jennifer", "last_name": "N/A"}, None),
        ({"first_name": "Test", "last_name": "Test"}, None),
        ({"last_name": "Null"}, None),
        ({"first_name": "N/A", "last_name": "Null"}, None),
    ],
)
def test_a_family_name_is_judged_by_the_names_beside_it(
    cells: dict[str, str], name: str | None
) -> None:
    assert read(**cells).values.get(F.LAST_NAME) == name


def test_a_company_called_like_no_value_is_known_by_its_domain() -> None:
    by_site = read(company_name="Unknown", company_domain="https://www.unknown.io/x")

    assert by_site.values[F.COMPANY_NAME] == "Unknown"
    assert read(company_name="None", email="a@none.com").values[F.COMPANY_NAME] == "None"
    assert F.COMPANY_NAME not in read(company_name="Unknown", email="a@acme.com").values
    assert F.FULL_NAME not in read(full_name="null N/A").values


@pytest.mark.parametrize(
    ("cells", "number"),
    [
        ({"country": "DE", "company_country": "FR"}, "+493012345678"),
        ({"company_country": "Allemagne"}, "+493012345678"),
        ({"email": "a@acme.de"}, "+493012345678"),
        ({"company_domain": "https://acme.de/kontakt"}, "+493012345678"),
        ({"email": "a@acme.io"}, "030 12345678"),
        ({}, "030 12345678"),
    ],
)
def test_the_country_of_a_phone_number_is_the_nearest_one_known(
    cells: dict[str, str], number: str
) -> None:
    assert read(**cells, phone="030 12345678").values[F.PHONE] == number


def test_the_import_s_default_says_where_a_phone_number_is_only_at_last() -> None:
    assert read("DE", phone="030 12345678").values[F.PHONE] == "+493012345678"
    assert read("US", country="DE", phone="030 12345678").values[F.PHONE] == "+493012345678"


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"country": "Georgia", "email": "a@acme.ge"}, "GE"),
        ({"country": "Georgia", "phone": "+995 32 212 3456"}, "GE"),
        ({"country": "Georgia", "phone": "+1 404 555 2671"}, "US"),
        ({"country": "Georgia"}, None),
        ({"country": "CA"}, "CA"),
        ({"country": "CA", "city": "San Diego"}, None),
        ({"country": "CA", "city": "Toronto"}, "CA"),
        ({"country": "NA"}, None),
        ({"country": "NA", "email": "a@acme.na"}, "NA"),
        ({"country": "San Jose, CA", "phone": "+1 408 555 2671"}, "US"),
    ],
)
def test_what_two_countries_are_called_is_decided_by_the_rest_of_the_row(
    cells: dict[str, str], code: str | None
) -> None:
    row = read(**cells)

    assert row.values.get(F.COUNTRY) == code
    assert code or row.notes[0][0] is F.COUNTRY


def test_a_state_beside_a_country_is_kept() -> None:
    row = read(country="San Francisco, California, USA", phone="(415) 555-2671")

    assert row.values == {
        F.COUNTRY: "US",
        F.REGION: "California",
        F.CITY: "San Francisco",
        F.PHONE: "+14155552671",
    }
    assert read(country="Bavaria, Germany", region="Bayern").values[F.REGION] == "Bayern"


@pytest.mark.parametrize(
    ("texts", "values", "others"),
    [
        (
            {F.EMAIL: ["n/a", "b@x.de", "c@x.de"]},
            {F.EMAIL: "b@x.de"},
            {F.EMAIL: ("c@x.de",)},
        ),
        (
            {F.EMAIL: ["no-reply@x.de", "b@x.de"]},
            {F.EMAIL: "b@x.de"},
            {F.EMAIL: ("no-reply@x.de",)},
        ),
        (
            {F.PHONE: ["+49 30 12345678 / +49 171 1234567"]},
            {F.PHONE: "+493012345678", F.MOBILE_PHONE: "+491711234567"},
            {},
        ),
        (
            {F.PHONE: ["+49 30 12345678; +49 171 1234567"], F.MOBILE_PHONE: ["+49 172 7654321"]},
            {F.PHONE: "+493012345678", F.MOBILE_PHONE: "+491727654321"},
            {F.PHONE: ("+491711234567",)},
        ),
        (
            {F.PHONE: ["555 3001", "+49 30 12345678"]},
            {F.PHONE: "+493012345678"},
            {F.PHONE: ("555 3001",)},
        ),
        ({F.TITLE: ["-", "CEO", "CTO"]}, {F.TITLE: "CEO"}, {}),
    ],
)
def test_of_several_cells_the_first_that_can_be_used_is_the_value(
    texts: dict[FieldName, list[str]],
    values: dict[FieldName, Scalar],
    others: dict[FieldName, tuple[Scalar, ...]],
) -> None:
    row = read_row(texts)

    assert (row.values, row.others) == (values, others)
