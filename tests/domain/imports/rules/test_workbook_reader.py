import datetime as dt
import io
import zipfile
from pathlib import Path

import pytest
from leadflood.domain.imports.rules.csv_reader import CsvFile
from leadflood.domain.imports.rules.table_file import open_table_file
from leadflood.engine.errors import Invalid
from tests.support.workbooks import make_ods, make_xlsx, make_zip

WORKBOOKS = Path(__file__).parents[1] / "data" / "workbooks"
PEOPLE = [["Name", "Email", "Phone", "ZIP", "Since", "Employees"]]
ADA = ["Ada Low", "ada@x.com", 493012345678, 1234, dt.date(2024, 3, 5), 12.5]


def read(raw: bytes, sheet: str | None = None) -> tuple[CsvFile, list[tuple[str, ...]]]:
    with open_table_file(io.BytesIO(raw), sheet) as file:
        return file, [record.cells for record in file.records]


def code_of(raw: bytes, sheet: str | None = None) -> str:
    with pytest.raises(Invalid) as refused:
        read(raw, sheet)
    return refused.value.error_code


def test_the_first_sheet_with_a_table_is_read_and_cells_keep_their_type() -> None:
    raw = make_xlsx(
        {"Notes": [["Please read"], ["All leads of May"]], "Hidden": PEOPLE, "May": [*PEOPLE, ADA]},
        hidden=["Hidden"],
    )

    file, rows = read(raw)

    assert (file.format.encoding, file.format.sheet) == ("xlsx", "May")
    assert file.format.sheets == ("Notes", "May", "Hidden")
    assert "'Notes', 'Hidden'" in file.format.warnings[0]
    assert file.headers == tuple(PEOPLE[0])
    assert rows == [("Ada Low", "ada@x.com", "493012345678", "1234", "2024-03-05", "12.5")]


def test_a_sheet_is_chosen_by_name() -> None:
    raw = make_xlsx({"One": [["Email"], ["a@x.com"]], "Two": [["Email"], ["b@x.com"]]})

    assert read(raw, "Two")[1] == [("b@x.com",)]
    assert code_of(raw, "Three") == "leads.workbook.no_sheet"
    assert code_of(b"Email\na@x.com\n", "Two") == "leads.workbook.no_sheet"


def test_rows_keep_the_numbers_of_the_sheet_and_are_never_short() -> None:
    raw = make_xlsx(
        {"S": [["My leads"], [], ["Email", "City"], ["a@x.com"], [None, None], ["b@x.com"]]}
    )

    with open_table_file(io.BytesIO(raw)) as file:
        records = list(file.records)

    assert [(record.number, record.cells) for record in records] == [
        (4, ("a@x.com", "")),
        (6, ("b@x.com", "")),
    ]
    assert file.skipped_lines == ("My leads,",)


def test_formulas_are_never_evaluated() -> None:
    raw = make_xlsx({"S": [["Email", "x"], ["a@x.com", '=WEBSERVICE("http://127.0.0.1:9/")']]})

    assert read(raw)[1] == [("a@x.com", "0")]


def test_an_ods_a_zip_with_one_file_and_old_workbooks_are_read() -> None:
    ods = make_ods([["Email", "City"], ["a@x.com", "Rome"]])

    assert read(ods)[1] == [("a@x.com", "Rome")]
    assert read(make_zip({"x/leads.csv": b"Email\na@x.com\n", "__MACOSX/._l": b""}))[1]
    assert read(make_zip({"leads.ods": ods}))[0].format.encoding == "ods"
    assert read((WORKBOOKS / "base.xls").read_bytes())[1][0][:3] == ("String", "1", "1.1")
    assert read((WORKBOOKS / "base.xlsb").read_bytes(), "Sheet1")[1][0][:3] == (
        "String",
        "1",
        "1.1",
    )


@pytest.mark.parametrize("name", ["password.xlsx", "password.xls", "password.ods"])
def test_an_encrypted_workbook_is_named(name: str) -> None:
    assert code_of((WORKBOOKS / name).read_bytes()) == "leads.workbook.encrypted"


def test_what_asks_for_too_much_memory_ends_its_own_process_only() -> None:
    far = make_xlsx({"S": [["Email"]]})
    # what a workbook says of a cell is believed by its reader
    rows = (
        b'<row r="1"><c r="A1"><v>1</v></c></row>'
        b'<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    )
    repeated = 'table:number-columns-repeated="1000000000"'

    assert code_of(with_sheet(far, rows)) == "leads.workbook.too_large"
    assert code_of(make_ods([["Email", "x"]] * 3, repeated)) == "leads.csv.too_wide"


def with_sheet(raw: bytes, rows: bytes) -> bytes:
    """Return a workbook whose first sheet has other rows."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    start, _, _ = files["xl/worksheets/sheet1.xml"].partition(b"<sheetData>")
    end = b"<sheetData>" + rows + b"</sheetData></worksheet>"
    return make_zip(files | {"xl/worksheets/sheet1.xml": start + end})
