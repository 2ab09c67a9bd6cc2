import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.csv_reader import DELIMITERS, find_delimiter, read_records
from leadflood.domain.imports.rules.row_parser import read_csv
from leadflood.domain.leads.schemas import ReadCsv
from leadflood.engine.errors import Invalid

DATA = Path(__file__).parent / "data"
SPECTRUM = sorted(file.stem for file in (DATA / "expected").glob("*.json"))


def read(name: str) -> ReadCsv:
    return read_csv((DATA / f"{name}.csv").read_bytes())


def reason_of(file: ReadCsv) -> str:
    (bad,) = file.bad
    return bad.reason


@pytest.mark.parametrize("name", SPECTRUM)
def test_hard_syntax_gives_exactly_the_cells_expected(name: str) -> None:
    text = (DATA / f"{name}.csv").read_bytes().decode()
    expected = json.loads((DATA / "expected" / f"{name}.json").read_text())

    header, *rows = (record.cells for record in read_records(io.StringIO(text, newline=""), ",", 1))

    cells = [dict(zip(header, row, strict=True)) for row in rows]
    assert find_delimiter(text) == ","
    assert [_flat(row) for row in cells] == [_flat(row) for row in expected]


def _flat(row: dict[str, str]) -> dict[str, str]:
    return {name: cell.replace("\r\n", "\n") for name, cell in row.items()}


def test_an_apollo_export_is_understood() -> None:
    file = read("apollo_b")

    assert [match.header for match in file.mapping if match.field is None] == []
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


def test_the_notes_of_a_linkedin_export_are_skipped_and_shown() -> None:
    file = read("linkedin_connections_notes")

    assert len(file.skipped_lines) == 2
    assert file.skipped_lines[0] == "Notes:"
    assert [row.number for row in file.rows] == [5, 6]
    assert file.rows[0].values[FieldName.LINKEDIN_URL] == "https://www.linkedin.com/in/anita"
    assert file.rows[0].values[FieldName.TITLE] == "Talent Partner, Product"


def test_a_salesforce_row_with_an_invalid_address_is_told_with_the_reason() -> None:
    file = read("salesforce_leads")

    assert [row.number for row in file.rows] == [2, 3]
    assert file.rows[0].values[FieldName.LAST_NAME] == "Doe"
    assert file.rows[0].notes == ("phone: '555-3001' is not understood",)
    assert (file.bad[0].number, reason_of(file)) == (4, "'invalid' is no e-mail address")


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_the_encoding_is_found(encoding: str, told: str) -> None:
    text = "Vorname;Nachname;E-Mail;Land\r\nJürgen;Müßig;jm@acme.example;Österreich\r\n" * 1
    text += "".join(f"Zoë{n};Größe;z{n}@acme.example;Österreich\r\n" for n in range(20))

    file = read_csv(text.encode(encoding))

    assert file.encoding == told
    assert file.delimiter == ";"
    assert file.rows[0].values[FieldName.FIRST_NAME] == "Jürgen"
    assert file.rows[0].values[FieldName.COUNTRY] == "AT"


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_is_found_among_cells_full_of_others(delimiter: str) -> None:
    lines = ["email", "name", "title"], ["a@b.example", "Lee, Ann; Dr | PhD", "CEO; founder, owner"]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)

    file = read_csv(text.encode())

    assert file.delimiter == delimiter
    assert file.rows[0].values[FieldName.TITLE] == "CEO; founder, owner"


def test_excels_hint_names_the_delimiter() -> None:
    file = read_csv(b"sep=;\r\nemail;name\r\na@b.example;Ann\r\n")

    assert (file.delimiter, file.rows[0].number) == (";", 3)


def test_a_file_of_companies_gives_leads_known_by_their_domain() -> None:
    file = read_csv(
        b"Name,Website,Country,Employees\nAcme,https://www.acme.example/x,France,51-200\n"
    )

    assert file.rows[0].values == {
        FieldName.COMPANY_NAME: "Acme",
        FieldName.COMPANY_DOMAIN: "acme.example",
        FieldName.COMPANY_COUNTRY: "FR",
        FieldName.COMPANY_SIZE: 125,
    }


def test_cells_over_many_lines_keep_their_row_and_its_number() -> None:
    file = read_csv(b'email,title\na@b.example,"one\ntwo\nthree"\nc@d.example,x\n')

    assert [row.number for row in file.rows] == [2, 5]
    assert file.rows[0].values[FieldName.TITLE] == "one\ntwo\nthree"


def test_a_quote_that_is_never_closed_costs_its_own_row_only() -> None:
    file = read_csv(b'email,title\na@b.example,"CEO\nc@d.example,CTO\ne@f.example,CFO\n')

    assert [row.number for row in file.rows] == [3, 4]
    assert (file.bad[0].number, reason_of(file)) == (2, "a quoted cell is opened and never closed")


def test_ragged_rows_are_filled_or_told() -> None:
    file = read_csv(b"email,name,title\na@b.example\nc@d.example,Ann,CEO,,\ne@f.example,A,B,C\n")

    assert [row.number for row in file.rows] == [2, 3]
    assert reason_of(file).startswith("4 cells where the header has 3")


def test_huge_cells_are_read() -> None:
    file = read_csv(b"email,title\na@b.example," + b"x" * 1_000_000 + b"\n")

    assert len(str(file.rows[0].values[FieldName.TITLE])) == 4_000


def test_a_row_that_tells_nobody_is_told() -> None:
    file = read_csv(b"first name,email,city\nAnn,,Berlin\n,,\n")

    assert len(file.bad) == 1
    assert reason_of(file).startswith("nothing tells who this is")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "leads.csv.empty"),
        (b"\n\n  \n", "leads.csv.empty"),
        (b"PK\x03\x04rest", "leads.csv.workbook"),
        (b"a,b\n1,2\n", "leads.csv.no_header"),
        (b"\x00\xff\xfe\x80" * 50, "leads.csv.no_header"),
    ],
)
def test_what_is_no_csv_is_refused_with_what_to_change(raw: bytes, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_csv(raw)

    assert refused.value.error_code == code


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        file = read_csv(b"email,name\n" + raw)
    except Invalid:
        return
    assert file.mapping


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.example", fullmatch=True),
            st.text(max_size=30),
        ),
        max_size=10,
    ),
    st.sampled_from(DELIMITERS),
)
def test_no_row_is_lost(rows: list[tuple[str, str]], delimiter: str) -> None:
    quoted = (f'{email}{delimiter}"{title.replace(chr(34), chr(34) * 2)}"' for email, title in rows)
    text = "\n".join([f"email{delimiter}title", *quoted])

    file = read_csv(text.encode("utf-8", "replace"))

    assert len(file.rows) + len(file.bad) == len(rows)
