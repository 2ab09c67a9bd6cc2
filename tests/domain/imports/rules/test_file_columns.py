"""Columns of files as programs and people write them."""

import io
from pathlib import Path

import pytest
from leadflood.contracts.values import FieldName
from leadflood.contracts.word_files import read_tables
from leadflood.domain.imports.rules.column_words import find_field, header_key
from leadflood.domain.imports.rules.csv_reader import open_csv
from leadflood.domain.imports.rules.file_columns import describe_columns
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import ColumnChoice, FileColumns, Subject

DATA = Path(__file__).parents[1] / "data" / "messy_leads"
LANGUAGES = sorted(
    read_tables("columns.toml")["email"].keys() - {"programs", "weak", "hi", "bg", "vi"}
)
BASIC = ("first_name", "last_name", "email", "phone", "company_name", "country")


def columns_of(text: str) -> FileColumns:
    with open_csv(io.BytesIO(text.encode())) as file:
        return describe_columns(file)


def guesses_of(text: str) -> list[str | None]:
    return [column.guess and column.guess.value for column in columns_of(text).columns]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (
            "k10_dutch",
            "first_name last_name email company_name title country phone company_domain",
        ),
        (
            "k10_google_contacts",
            "full_name first_name last_name - email - phone company_name title",
        ),
        ("k10_japanese_refused", "full_name email company_name"),
        (
            "k10_salesforce_report",
            ("- first_name last_name title company_name email mobile_phone country company_size"),
        ),
        ("k11_title_is_salutation", "- first_name last_name title email email_status company_name"),
    ],
)
def test_columns_of_a_messy_file_are_understood(name: str, fields: str) -> None:
    text = (DATA / f"{name}.csv").read_text("utf-8")

    assert [guess or "-" for guess in guesses_of(text)] == fields.split()


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        (  # Outlook
            (
                "Title,First Name,Middle Name,Last Name,Suffix,Company,Department,Job Title,"
                "Business Country/Region,Business Phone"
                ",E-mail Address,E-mail Type,E-mail Display Name,"
                "Web Page,Assistant's Phone,Manager's Name"
            ),
            (
                "title first_name - last_name - company_name department title country phone"
                " email - - company_domain - -"
            ),
        ),
        (  # Pipedrive
            (
                "Person - Name,Person - Email - Work,Person - Phone - Mobile,Organization - Name,"
                "Person - Owner,Person - Job title"
            ),
            "full_name email mobile_phone company_name - title",
        ),
        (  # Zoho
            (
                "Record Id,Contact Owner,Lead Source,First Name,Last Name,Account Name,Email,Title,"
                "Mobile,Assistant,Mailing Country,Email Opt Out"
            ),
            "- - - first_name last_name company_name email title mobile_phone - country -",
        ),
        (  # Cognism, Lusha, ZoomInfo, UpLead
            (
                "First name,Job title,Work email,Direct dial,Mobile number,Company HQ country,"
                "Company headcount,LinkedIn contact profile URL,Website domain,Revenue range"
            ),
            (
                "first_name title email phone mobile_phone company_country company_size"
                " linkedin_url"
                " company_domain company_revenue"
            ),
        ),
        (  # Dynamics
            "(Do Not Modify) Contact,Full Name,Email,Company Name,Business Phone,Job Title,Owner",
            "- full_name email company_name phone title -",
        ),
        (  # Google contacts, since 2024
            (
                "First Name,Last Name,Organization Name,Organization Title,E-mail 1 - Label,"
                "E-mail 1 - Value,E-mail 2 - Label,E-mail 2 - Value,Phone 1 - Label,Phone 1 - Value"
            ),
            "first_name last_name company_name title - email - email - phone",
        ),
        (  # Sales Navigator scrapers
            "fullName,firstName,lastName,companyName,title,companyUrl,linkedInProfileUrl,location",
            "full_name first_name last_name company_name title company_domain linkedin_url -",
        ),
    ],
)
def test_exports_of_programs_are_understood(headers: str, fields: str) -> None:
    consent = {"opt_out", "external_id", "contact_status"}
    guesses = [
        "-" if guess is None or guess in consent else guess
        for guess in guesses_of(f"{headers}\n{',' * headers.count(',')}x\n")
    ]

    assert guesses == fields.split()


@pytest.mark.parametrize("language", LANGUAGES)
def test_headers_are_understood_in_a_language(language: str) -> None:
    tables = read_tables("columns.toml")
    headers = {
        field: tables[field].get(language, "").split("|")[0].upper()
        for field in BASIC
        if tables[field].get(language)
    }

    assert len(headers) >= len(BASIC) - 2
    assert {find_field(header) for header in headers.values()} == {
        ColumnField(field) for field in headers
    }


def test_a_word_names_one_field() -> None:
    seen: dict[str, str] = {}
    for field, table in read_tables("columns.toml").items():
        if field in {"qualifiers", "cells"}:
            continue
        for words in table.values():
            for word in words.split("|"):
                assert seen.setdefault(header_key(word), field) == field, word


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("E-Mail (geschäftlich)", "email"),
        ("Email*", "email"),
        ("Kontakt: Vorname", "first_name"),
        ("Telefon 2", "phone"),
        ("Company / Account", "company_name"),
        ("SOYADI", "last_name"),
        ("Account Owner: Email", None),
        ("OwnerEmail", None),
        ("Assistant's Phone", None),
        ("Lieblingsfarbe", None),
    ],
)
def test_what_stands_around_a_header_does_not_hide_it(header: str, field: str | None) -> None:
    assert find_field(header) == field


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        (("a@b.com", "c@d.org", "?"), "email"),
        (("Ada <a@b.com>", "c@d.org", ""), "email"),
        (("linkedin.com/in/ada", "https://de.linkedin.com/in/bob", ""), "linkedin_url"),
        (
            ("https://www.linkedin.com/company/acme", "linkedin.com/company/x", ""),
            "company_linkedin_url",
        ),
        (("+49 30 1234567", "+1 (415) 555-2671", "unlisted"), "phone"),
        (("030 / 123 45 67", "(415) 555-2671", "0171-1234567"), "phone"),
        (("acme.de", "https://www.beta.io/x", "gamma.co.uk"), "company_domain"),
        (("Germany", "Norway", "France"), "country"),
        (("DE", "GB", "US"), "country"),
        (("2024-01-02", "2024-02-03", "2024-03-04"), None),
        (("01.02.2024", "3/4/2024", "5 Jan 2024"), None),
        (("12,500", "3.000.000", "7"), None),
        (("1200345", "1200346", "1200347"), None),
        (("Mr.", "Frau", "Mme"), None),
        (("a@b.com", "nobody", "nothing"), None),
        (("us@team.com",) * 6, None),
    ],
)
def test_a_column_is_recognized_by_its_cells(cells: tuple[str, ...], field: str | None) -> None:
    lines = "\n".join(f'Ann;"{cell}"' for cell in cells)

    assert guesses_of(f"Vorname;Zauberwort\n{lines}\n")[1] == field


def test_the_more_exact_column_is_used_and_the_other_fills_its_empty_cells() -> None:
    text = "Title,Job Title,Email,Email 2\nLeader,COO,,b@x.com\nCTO,,c@x.com,d@x.com\n"

    file = read_csv(text.encode())

    assert [row.values[FieldName.TITLE] for row in file.rows] == ["COO", "CTO"]
    assert [row.values[FieldName.EMAIL] for row in file.rows] == ["b@x.com", "c@x.com"]
    assert file.warnings == (
        "title: 'Job Title' is used; 'Title' fills its empty cells",
        "email: 'Email' is used; 'Email 2' fills its empty cells",
    )


def test_cells_win_over_a_header_that_says_something_else() -> None:
    text = "Name,Phone,Website\nAda Low,a@b.com,linkedin.com/in/ada\nBo Hi,c@d.com,\n"

    described = columns_of(text)

    assert [column.guess for column in described.columns] == ["full_name", "email", "linkedin_url"]
    assert described.warnings[0] == (
        "column 'Phone' is called like phone, and its cells look like e-mail addresses:"
        " it is read as email"
    )


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Ada Low,a@b.com,Acme\nBo Hi,c@d.com,Beta\n", ["Ada Low", "a@b.com", "Acme"]),
        ("a@b.com\nc@d.com\n", ["a@b.com"]),
        ("Ada Low;Acme\nBo Hi;Beta\n", ["Ada Low", "Acme"]),
    ],
)
def test_without_a_header_row_the_first_row_is_a_row(text: str, first: list[str]) -> None:
    with open_csv(io.BytesIO(text.encode())) as file:
        described = describe_columns(file)
        assert list(next(file.records).cells) == first

    assert [column.name for column in described.columns] == [
        f"column {number}" for number in range(1, len(first) + 1)
    ]
    assert described.warnings[0].startswith("no row names the columns")


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (
            "Low,Ada,Acme Inc,ada.low@acme.com\nHi,Bo,Beta LLC,bo.hi@beta.io\n",
            ["last_name", "first_name", "company_name", "email"],
        ),
        (
            "Ada Low;Owner;ada@acme.com;Acme\nBo Hi;COO;bhi@beta.io;Beta\n",
            ["full_name", None, "email", "company_name"],
        ),
        ("COO,Bonn,x1@gmail.com\nCTO,Oslo,x2@gmail.com\n", [None, None, "email"]),
    ],
)
def test_names_are_recognized_by_the_addresses_beside_them(
    text: str, fields: list[str | None]
) -> None:
    assert guesses_of(text) == fields


def test_a_header_of_two_lines_is_the_one_that_says_more() -> None:
    text = "Contact,,Company,\nFirst name,Last name,Name,Website\nAda,Low,Acme,acme.de\n"

    assert columns_of(text).columns[0].header == "First name"


def test_unknown_headers_are_headers_where_the_rows_below_hold_values() -> None:
    described = columns_of("Qarku,Posta\nTirana,a@b.com\nDurres,c@d.com\n")

    assert [column.header for column in described.columns] == ["Qarku", "Posta"]
    assert [column.guess for column in described.columns] == [None, "email"]


def test_a_row_that_is_called_like_a_header_is_a_row() -> None:
    described = columns_of("title,kind\nOwner,x\nProduct Owner,Owner\n")

    assert [column.header for column in described.columns] == ["title", "kind"]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("Name,Vorname\nLow,Ada\nHi,Bo\n", ["last_name", "first_name"]),
        ("Name,Vorname\nAda Low,Ada\nBo Hi,Bo\n", ["full_name", "first_name"]),
        ("Nom,Prénom\nLow,Ada\n", ["last_name", "first_name"]),
        ("Nom,Email\nAda Low,a@b.com\n", ["full_name", "email"]),
        ("Nombre,Apellidos\nAda,Low\n", ["first_name", "last_name"]),
        ("Nombre,Correo\nAda Low,a@b.com\n", ["full_name", "email"]),
    ],
)
def test_a_name_is_what_the_names_beside_it_leave(text: str, fields: list[str]) -> None:
    assert guesses_of(text) == fields


def test_unread_columns_with_cells_of_persons_are_warned_of() -> None:
    head = "Email,Xyz,Abc,Owner,Fgh,Late\n"
    lines = [f"a{n}@b.com,Ada Low,x{n}@y.com,o@us.com,7,\n" for n in range(100)]
    late = "c@d.com,Bo Hi,z@y.com,o@us.com,,+49 30 1234567\n"

    file = read_csv(f"{head}{''.join(lines)}{late}".encode())

    assert file.warnings == tuple(
        f"column {name!r} is not read, and its cells look like {what}: map it, or leave it out"
        for name, what in [
            ("Xyz", "names of persons"),
            ("Abc", "e-mail addresses"),
            ("Late", "phone numbers"),
        ]
    )


@pytest.mark.parametrize(
    ("rows", "subject", "name_field"),
    [
        ("Acme GmbH,acme.de,DE\nBeta Inc.,other.com,US\n", "companies", "company_name"),
        ("Stripe,stripe.com,US\nRed Hat,redhat.com,US\n", "companies", "company_name"),
        ("Ada Low,acme.de,DE\nBo Hi,beta.com,US\n", "people", "full_name"),
    ],
)
def test_a_file_is_of_companies_only_where_its_names_say_so(
    rows: str, subject: str, name_field: str
) -> None:
    described = columns_of(f"Name,Website,Country\n{rows}")
    other = {"companies": Subject.PEOPLE, "people": Subject.COMPANIES}[subject]
    chosen = read_csv(f"Name,Website,Country\n{rows}".encode(), ColumnChoice(subject=other))

    assert (described.subject, described.columns[0].guess) == (subject, name_field)
    assert described.warnings[-1].endswith(f"set `subject` to {other.value}")
    assert chosen.fields == (
        ("full_name", "company_domain", "country")
        if other is Subject.PEOPLE
        else ("company_name", "company_domain", "company_country")
    )
