"""External ids of exports as tools write them, and columns that only look like ids."""

import pytest
from leadflood.domain.imports.rules.external_ids import IdKind, kind_of_ids, read_id
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import ColumnChoice
from leadflood.domain.imports.schemas.rows import ReadCsv

HUBSPOT = (
    "Record ID,First Name,Last Name,Email,Company Name,Associated Company IDs,Contact owner",
    "151203847301,Ada,Low,ada@acme.com,Acme,9120384731,Sam Rep",
    "151203847377,Bob,Hi,,Acme,9120384731,Sam Rep",
)
SALESFORCE = (
    "Id,FirstName,LastName,Title,Account.Name,AccountId,OwnerId,Email",
    "0035g00000GxYzAAAV,Ada,Low,COO,Acme,0015g00000AbCdEAAV,0055g000001AbCdAAK,ada@acme.com",
    "0035g00000GxYzBAAV,Bob,Hi,CTO,Acme,0015g00000AbCdEAAV,0055g000001AbCdAAK,",
)
APOLLO = (
    "First Name,Last Name,Title,Company,Email,Apollo Contact Id,Apollo Account Id",
    "Ada,Low,COO,Acme,ada@acme.com,65f1c2d3e4a5b60001c7d8e9,65f1c2d3e4a5b60001aaaaaa",
    "Bob,Hi,CTO,Acme,,65f1c2d3e4a5b60001c7d8ff,65f1c2d3e4a5b60001aaaaaa",
)
PIPEDRIVE = (
    "Person - ID,Person - Name,Person - Email - Work,Organization - ID,Organization - Name",
    "17,Ada Low,ada@acme.com,4,Acme",
    "23,Bob Hi,,4,Acme",
)
ZOHO = (
    "Record Id,Contact Owner.id,First Name,Last Name,Account Name.id,Account Name,Email",
    "zcrm_5104859000002177003,zcrm_51048,Ada,Low,zcrm_5104859000000111001,Acme,ada@acme.com",
    "zcrm_5104859000002177019,zcrm_51048,Bob,Hi,zcrm_5104859000000111001,Acme,",
)
DYNAMICS = (
    "(Do Not Modify) Contact,(Do Not Modify) Row Checksum,Full Name,Email,Company Name",
    "7d1a2b3c-4e5f-6789-abcd-ef0123456789,9x+/a==,Ada Low,ada@acme.com,Acme",
    "7d1a2b3c-4e5f-6789-abcd-ef0123456790,8x+/b==,Bob Hi,,Acme",
)
GERMAN = (
    "Kunden-Nr.;Vorname;Nachname;Firma;E-Mail",
    "K-10021;Ada;Low;Acme;ada@acme.com",
    "K-10077;Bob;Hi;Acme;",
)


def read(*lines: str, choice: ColumnChoice | None = None) -> ReadCsv:
    return read_csv("\n".join(lines).encode(), choice or ColumnChoice())


def ids_of(file: ReadCsv) -> list[list[tuple[str, str]]]:
    return [[(each.system, each.value) for each in row.external_ids] for row in file.rows]


@pytest.mark.parametrize(
    ("lines", "system", "ids"),
    [
        (HUBSPOT, "record id", ["151203847301", "151203847377"]),
        (SALESFORCE, "salesforce", ["0035g00000GxYzA", "0035g00000GxYzB"]),
        (APOLLO, "apollo", ["65f1c2d3e4a5b60001c7d8e9", "65f1c2d3e4a5b60001c7d8ff"]),
        (PIPEDRIVE, "person id", ["17", "23"]),
        (ZOHO, "zcrm", ["zcrm_5104859000002177003", "zcrm_5104859000002177019"]),
        (
            DYNAMICS,
            "do not modify contact",
            ["7d1a2b3c-4e5f-6789-abcd-ef0123456789", "7d1a2b3c-4e5f-6789-abcd-ef0123456790"],
        ),
        (GERMAN, "kunden nr", ["K-10021", "K-10077"]),
    ],
)
def test_ids_of_people_are_read_and_those_of_others_are_not(
    lines: tuple[str, ...], system: str, ids: list[str]
) -> None:
    file = read(*lines)

    assert file.fields.count(ColumnField.EXTERNAL_ID) == 1
    assert ids_of(file) == [[(system, value)] for value in ids]


@pytest.mark.parametrize(
    "header",
    [
        *(
            "Contact ID",
            "contact_id",
            "ContactId",
            "Lead ID",
            "Person Id",
            "Customer No.",
            "Client ID",
        ),
        *(
            "HubSpot Contact ID",
            "Salesforce ID",
            "Hubspot ID",
            "Kontakt-ID",
            "Kundennummer",
            "Kd.-Nr.",
        ),
        *(
            "N° client",
            "Código de cliente",
            "Codice cliente",
            "Klantnummer",
            "Kundnummer",
            "顧客ID",
        ),
        *("客户编号", "고객번호", "ID клиента", "Numer klienta", "UUID", "External ID"),
    ],
)
def test_headers_of_ids_are_known(header: str) -> None:
    file = read(f"{header},Name,Company", "A-17,Ada Low,Acme", "A-23,Bob Hi,Acme")

    assert file.fields[0] is ColumnField.EXTERNAL_ID


@pytest.mark.parametrize(
    "header",
    [
        *("Account ID", "Company ID", "Organization - ID", "Salesforce Account ID", "Owner ID"),
        *("Deal ID", "Campaign ID", "Row ID", "Lfd. Nr.", "S.No", "#", "Employee ID", "Email ID"),
        *("Created By ID", "Apollo Account Id", "Firmen-ID", "Parent Account ID", "Contact No"),
    ],
)
def test_ids_of_something_else_are_nobody_s(header: str) -> None:
    file = read(f"{header},Name,Company", "A-10017,Ada Low,Acme", "A-10023,Bob Hi,Acme")

    assert file.fields[0] is not ColumnField.EXTERNAL_ID


@pytest.mark.parametrize(
    ("header", "cells", "kind"),
    [
        ("Id", ("1", "2", "3"), IdKind.COUNTED),
        ("Id", ("3", "1", "2"), IdKind.COUNTED),
        ("Id", ("0", "1", "2"), IdKind.COUNTED),
        ("Id", ("R1", "R2", "R3"), IdKind.COUNTED),
        ("Id", ("501", "502", "503"), IdKind.OTHER),
        ("Id", ("10023", "10071", "10105"), IdKind.IDS),
        ("No", ("17", "23", "45"), IdKind.OTHER),
        ("Id", ("K-1001", "K-1002", "K-1003"), IdKind.IDS),
        ("Id", ("151203847301", "151203847377", "151203849921"), IdKind.IDS),
        ("Id", ("5f0c1a2b3c4d", "5f0c1a2b3c99", "5f0c1a2b3caa"), IdKind.IDS),
        ("Id", ("ada.low", "bob.hi", "cid.no"), IdKind.OTHER),
        ("Id", ("A", "B", "C"), IdKind.OTHER),
        ("Contact ID", ("1", "2", "4", "3"), IdKind.COUNTED),
        ("Contact ID", ("17", "23", "45"), IdKind.IDS),
        ("Contact ID", ("1.0", "2.0", "3.0"), IdKind.COUNTED),
        ("Contact ID", ("K-0001", "K-0002", "K-0003"), IdKind.IDS),
        ("Contact ID", ("n/a", "-", ""), IdKind.OTHER),
        ("Contact ID", ("K-1", "K-1", "K-1", "K-2"), IdKind.SHARED),
        ("Contact ID", ("K-1", "K-2", "K-1"), IdKind.IDS),
    ],
)
def test_a_count_of_rows_is_no_id(header: str, cells: tuple[str, ...], kind: IdKind) -> None:
    people = ("Ada Low", "Bob Hi", "Cid No", "Dan So")
    rows = [f"{cell},{name},Acme" for cell, name in zip(cells, people, strict=False)]
    file = read(f"{header},Name,Company", *rows)

    assert kind_of_ids(cells, is_weak=header != "Contact ID") is kind
    assert (file.fields[0] is ColumnField.EXTERNAL_ID) is (kind is IdKind.IDS)
    is_told = header == "Contact ID" and kind in {IdKind.COUNTED, IdKind.SHARED}
    assert any("map it to external_id" in warning for warning in file.warnings) is is_told


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("151203847301.0", "151203847301"),
        ("1.51E+11", None),
        ("1,51203847301E+11", None),
        ("N/A", None),
        ("#N/A", None),
        ("0", None),
        ("'00123", "00123"),
        ("00123", "00123"),
        ("0035g00000GxYzAAAV", "0035g00000GxYzA"),
        ("0035g00000GxYzAAAW", "0035g00000GxYzAAAW"),
        ("  K 17 ", "K 17"),
    ],
)
def test_an_id_is_read_as_it_is_compared(text: str, value: str | None) -> None:
    assert read_id(text) == value


def test_an_id_that_a_spreadsheet_shortened_is_a_note() -> None:
    file = read(
        "Contact ID,Name,Company", "9.12E+11,Ada Low,Acme", "A-17,Bob,Acme", "A-23,Cid,Acme"
    )

    assert ids_of(file)[0] == []
    assert file.rows[0].notes == (
        "external_id: '9.12E+11' has lost its digits: export them as text",
    )


def test_ids_of_companies_are_those_of_rows_in_a_file_of_companies() -> None:
    file = read("Account ID,Account Name,Website,City", "A-17,Acme,acme.com,Bonn", "A-23,Low,,Bonn")

    assert ids_of(file) == [[("account id", "A-17")], [("account id", "A-23")]]


def test_ids_of_two_systems_are_two_ids() -> None:
    file = read(
        "Record ID,Salesforce ID,Name,Company",
        "151203847301,0035g00000GxYzAAAV,Ada Low,Acme",
        "151203847377,,Bob Hi,Acme",
    )

    assert ids_of(file) == [
        [("record id", "151203847301"), ("salesforce", "0035g00000GxYzA")],
        [("record id", "151203847377")],
    ]


def test_a_source_that_a_person_names_is_of_the_column_that_names_none() -> None:
    choice = ColumnChoice(source="Our CRM")
    file = read("Id,Salesforce ID,Name", "K-1001,0035g00000GxYzAAAV,Ada Low", choice=choice)

    assert ids_of(file) == [[("salesforce", "0035g00000GxYzA"), ("Our CRM", "K-1001")]]


def test_an_id_with_nobody_beside_it_is_a_bad_row() -> None:
    file = read(
        "Contact ID,Name,Company,Title", "A-17,Ada Low,Acme,COO", "A-23,,Acme,", "A-31,,,CTO"
    )

    assert [row.number for row in file.bad] == [3, 4]


def test_what_a_run_wrote_brings_no_ids_of_its_own_leads() -> None:
    file = read(
        "Name,Company,why,found_full_name,lead_id",
        "Ada Low,Acme,,,019b8a2b-3c4d-7e5f-8901-abcdef012345",
    )

    assert ids_of(file) == [[]]
