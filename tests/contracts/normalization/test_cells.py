import pytest
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.cells import ReadCell, read_cell, read_value
from leadflood.contracts.values import FieldName


@pytest.mark.parametrize(
    ("field", "text", "cell"),
    [
        (FieldName.EMAIL, " Ada@Acme.COM ", ReadCell("ada@acme.com")),
        (FieldName.EMAIL, "a@x.de; b@x.de", ReadCell("a@x.de", others=("b@x.de",))),
        (FieldName.EMAIL, "noreply@x.de; b@x.de", ReadCell("b@x.de", others=("noreply@x.de",))),
        (FieldName.EMAIL, "invalid", ReadCell(None, "'invalid' is no e-mail address")),
        (
            FieldName.EMAIL,
            "a@gmial.com",
            ReadCell(
                "a@gmial.com", "'a@gmial.com' may be a typing error: did they mean a@gmail.com?"
            ),
        ),
        (FieldName.TITLE, "  ", ReadCell(None, is_missing=True)),
        (FieldName.TITLE, "-", ReadCell(None, is_missing=True)),
        (FieldName.TITLE, "#N/A", ReadCell(None, "'#N/A' is no value", is_missing=True)),
        (FieldName.EMAIL_STATUS, "Unknown", ReadCell("unknown")),
        (FieldName.EMAIL_STATUS, "Verified", ReadCell("valid")),
        (FieldName.COUNTRY, "NA", ReadCell("NA")),
        (FieldName.COUNTRY, "n/a", ReadCell(None, "'n/a' is no value", is_missing=True)),
        (FieldName.REGION, "ND", ReadCell("ND")),
        (FieldName.LAST_NAME, "Null", ReadCell("Null")),
        (FieldName.COMPANY_FOUNDED, "long ago", ReadCell(None, "'long ago' is not understood")),
        (FieldName.COMPANY_FOUNDED, "2001.0", ReadCell(2001)),
        (FieldName.COMPANY_SIZE, "501 bis 1000", ReadCell(750)),
        (
            FieldName.COMPANY_SIZE,
            "Oct-50",
            ReadCell(None, "'Oct-50' is a date: a spreadsheet made it of a range such as 2-10"),
        ),
        (FieldName.COMPANY_TECHNOLOGIES, "SAP; Jira|n/a|Git", ReadCell(("SAP", "Jira", "Git"))),
        (FieldName.PHONE, "000-000-0000", ReadCell(None, "'000-000-0000' is no phone number")),
    ],
)
def test_a_cell_is_read_as_the_value_of_its_field(
    field: FieldName, text: str, cell: ReadCell
) -> None:
    assert read_cell(field, text) == cell


@pytest.mark.parametrize("field", FieldName)
@pytest.mark.parametrize("text", ["N/A", "#REF!", "k.A.", "—", "0000-00-00"])
def test_no_field_has_a_value_where_none_is_written(field: FieldName, text: str) -> None:
    assert read_value(field, text) is None


@pytest.mark.parametrize(
    ("text", "currency", "cell"),
    [
        ("12,500,000", "EUR", ReadCell(12_500_000)),
        ("5 Mio €", "EUR", ReadCell(5_000_000)),
        ("$12M", "CAD", ReadCell(12_000_000)),
        ("$12M", None, ReadCell("12000000 USD")),
        (
            "$12M",
            "EUR",
            ReadCell(
                "12000000 USD",
                "'$12M' is kept as '12000000 USD', which rules cannot use: they count in EUR",
            ),
        ),
        ("a lot", "EUR", ReadCell(None, "'a lot' is not understood")),
    ],
)
def test_a_sum_is_a_number_in_the_currency_of_the_installation(
    text: str, currency: str | None, cell: ReadCell
) -> None:
    assert read_cell(FieldName.COMPANY_REVENUE, text, currency=currency) == cell


@pytest.mark.parametrize(
    ("field", "raw", "value"),
    [
        (FieldName.COMPANY_SIZE, 12.0, 12),
        (FieldName.COMPANY_FOUNDED, 2001.0, 2001),
        (FieldName.COMPANY_FOUNDED, 3, None),
        (FieldName.COMPANY_REVENUE, 1e6, 1e6),
        (FieldName.COMPANY_REVENUE, float("nan"), None),
        (FieldName.COMPANY_REVENUE, True, None),
        (FieldName.EMAIL, True, None),
        (FieldName.EMAIL, ("a@b.de",), None),
        (FieldName.COMPANY_TECHNOLOGIES, ("SAP", "N/A", "SAP"), ("SAP",)),
        (FieldName.TITLE, 5, 5),
        (FieldName.TITLE, float("inf"), None),
    ],
)
def test_a_value_that_is_no_text_has_one_form(
    field: FieldName, raw: Scalar, value: Scalar | None
) -> None:
    assert read_value(field, raw) == value


@pytest.mark.parametrize(
    ("field", "value", "others"),
    [
        (FieldName.EMAIL, "ada@a.com", ("ada2@a.com",)),
        (FieldName.PHONE, "+4930901820", ("+491717654321",)),
        (FieldName.COMPANY_DOMAIN, "a.com", ()),
        (FieldName.COMPANY_NAME, "Acme", ()),
        (FieldName.COMPANY_TECHNOLOGIES, ("Go", "SQL"), ()),
    ],
)
def test_lists_of_google_contacts_are_read(
    field: FieldName, value: object, others: tuple[str, ...]
) -> None:
    texts = {
        FieldName.EMAIL: "ada@a.com ::: ada2@a.com",
        FieldName.PHONE: "+49 30 901820 ::: +49 171 7654321",
        FieldName.COMPANY_DOMAIN: "https://a.com ::: https://b.com",
        FieldName.COMPANY_NAME: "Acme ::: Beta",
        FieldName.COMPANY_TECHNOLOGIES: "Go ::: SQL",
    }
    cell = read_cell(field, texts[field])

    assert (cell.value, cell.others) == (value, others)
