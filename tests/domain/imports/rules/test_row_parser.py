from pathlib import Path

from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.rows import ReadCsv

DATA = Path(__file__).parents[1] / "data"


def read(name: str) -> ReadCsv:
    return read_csv((DATA / f"{name}.csv").read_bytes())


def reason_of(file: ReadCsv) -> str:
    (bad,) = file.bad
    return bad.reason


def test_an_apollo_export_is_understood() -> None:
    file = read("apollo_b")

    assert None not in file.fields
    first = file.rows[0].values
    assert first[FieldName.DEPARTMENT] == "C-Suite, Sales"
    assert first[FieldName.COMPANY_SIZE] == 13
    assert first[FieldName.COMPANY_DOMAIN] == "getnimbus.ai"
    assert first[FieldName.EMAIL_STATUS] == "valid"
    assert first[FieldName.COUNTRY] == "DE"


def test_a_hubspot_export_is_understood_and_free_mail_is_no_company() -> None:
    file = read("hubspot_b")

    assert [row.number for row in file.rows] == [2, 3, 4, 5]
    assert file.rows[0].values[FieldName.PHONE] == "+49301234"
    assert FieldName.COMPANY_DOMAIN not in file.rows[2].values


def test_the_notes_of_a_linkedin_export_are_skipped_and_kept() -> None:
    file = read("linkedin_connections_notes")

    assert len(file.skipped_lines) == 2
    assert file.skipped_lines[0] == "Notes:"
    assert [row.number for row in file.rows] == [5, 6]
    assert file.rows[0].values[FieldName.LINKEDIN_URL] == "https://www.linkedin.com/in/anita"
    assert file.rows[0].values[FieldName.TITLE] == "Talent Partner, Product"


def test_a_salesforce_row_with_an_invalid_address_is_bad_and_says_why() -> None:
    file = read("salesforce_leads")

    assert [row.number for row in file.rows] == [2, 3]
    assert file.rows[0].values[FieldName.LAST_NAME] == "Doe"
    assert file.rows[0].notes == (
        "phone: '555-3001' is kept as text: it needs its country, or a country code as in +49",
    )
    assert file.bad[0].number == 4
    assert "email: 'invalid' is no e-mail address" in reason_of(file)


def test_a_file_of_companies_gives_leads_identified_by_their_domain() -> None:
    file = read_csv(
        b"Name,Website,Country,Employees\nAcme,https://www.acme.example/x,France,51-200\n"
    )

    assert file.rows[0].values == {
        FieldName.COMPANY_NAME: "Acme",
        FieldName.COMPANY_DOMAIN: "acme.example",
        FieldName.COMPANY_COUNTRY: "FR",
        FieldName.COMPANY_SIZE: 125,
    }


def test_a_website_on_a_shared_host_is_kept_as_the_page_of_its_company() -> None:
    file = read_csv(
        b"Name,Company,Website,Email\n"
        b"Ada Berg,Cafe Aurora,https://www.facebook.com/aurora,ada@gmail.com\n"
        b"Bo Dahl,Bakery Cato,https://sites.google.com/view/cato,bo@gmail.com\n"
    )

    assert [row.values.get(FieldName.COMPANY_DOMAIN) for row in file.rows] == [None, None]
    assert [row.values[FieldName.COMPANY_PAGE] for row in file.rows] == [
        "https://facebook.com/aurora",
        "https://sites.google.com/view/cato",
    ]


def test_short_rows_are_filled_and_long_rows_are_bad() -> None:
    file = read_csv(b"email,name,title\na@b.example\nc@d.example,Ann,CEO,,\ne@f.example,A,B,C\n")

    assert [row.number for row in file.rows] == [2, 3]
    assert reason_of(file).startswith("4 cells where the header has 3")


def test_a_row_that_identifies_nobody_is_bad() -> None:
    file = read_csv(b"first name,email,city\nAnn,,Berlin\n,,\n")

    assert len(file.bad) == 1
    assert reason_of(file).startswith("nothing tells who this is")
