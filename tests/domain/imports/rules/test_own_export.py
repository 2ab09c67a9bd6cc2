import io

import pytest
from leadflood.contracts.csv_safety import write_csv
from leadflood.domain.imports.rules.table_file import open_table_file
from tests.support.workbooks import make_xlsx

CELLS = ["'=1", "=1", "+49 30", "'t Hooft", "x"]
BAD_ROWS = [
    ["line", "reason", "Name", "=Email", "Phone", "City", "Note"],
    ["2", "'x' is bad", *CELLS],
]
OWN = [["id", "title", "fullName", "lastName", "department"], CELLS]


def read(raw: bytes) -> list[str]:
    with open_table_file(io.BytesIO(raw)) as file:
        (record,) = file.records
        return list(record.cells)


def test_guards_are_taken_off_once_of_what_is_ours() -> None:
    assert read(write_csv(BAD_ROWS))[2:] == CELLS
    assert read(write_csv(OWN)) == CELLS


def test_bad_rows_that_were_saved_as_a_workbook_lose_their_guards_too() -> None:
    guarded = [row.split(",") for row in write_csv(BAD_ROWS).decode().splitlines()]

    assert read(make_xlsx({"S": guarded}))[2:] == CELLS


@pytest.mark.parametrize(
    ("cell", "kept"),
    [("'=1", "=1"), ("''x", "'x"), ("'+49 30", "+49 30"), ("'t Hooft", "'t Hooft")],
)
def test_of_any_other_file_only_marks_of_text_are_taken_off(cell: str, kept: str) -> None:
    assert read(f"name,email\n{cell},a@b.com\n".encode())[0] == kept


def test_a_workbook_of_an_export_keeps_its_apostrophes() -> None:
    cells = ["'=1", "'+49 30", "''x", "'t Hooft", "x"]

    assert read(make_xlsx({"S": [OWN[0], cells]})) == cells
