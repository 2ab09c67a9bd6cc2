import pytest
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.text_marks import find_marked_columns, without_marks
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.records import Record


@pytest.mark.parametrize(
    ("cells", "unmarked"),
    [
        (["'Ada Low", "'Bob Hi", "'t Hooft"], ["Ada Low", "Bob Hi", "'t Hooft"]),
        (["'Ada Low", "'Bob Hi", ""], ["Ada Low", "Bob Hi", ""]),
        (["'50", "Ada", "'+49 30 1"], ["50", "Ada", "+49 30 1"]),
        (["'=A1", "Ada", "'-5"], ["=A1", "Ada", "-5"]),
        (["'ada@x.com", "bob@x.com", "'@acme"], ["ada@x.com", "bob@x.com", "@acme"]),
        (["'t Hooft"], ["'t Hooft"]),
        (["'s-Hertogenbosch"], ["'s-Hertogenbosch"]),
        (["'Ndrangheta", "Roma", "Bari"], ["'Ndrangheta", "Roma", "Bari"]),
        (["'ada@x.com'", "'bob@x.com'"], ["'ada@x.com'", "'bob@x.com'"]),
        (["'68 Comeback'", "Acme"], ["'68 Comeback'", "Acme"]),
    ],
)
def test_marks_of_text_are_no_part_of_cells(cells: list[str], unmarked: list[str]) -> None:
    marked = find_marked_columns([[cell] for cell in cells], 1)
    records = (Record(number, (cell,)) for number, cell in enumerate(cells))

    assert [record.cells[0] for record in without_marks(records, marked)] == unmarked


def test_a_file_with_marks_gives_plain_values() -> None:
    head = "Name,Company,Email,Employees\n"
    [row] = read_csv(f"{head}'Ada Low,'Acme,'ada@cf.com,'50\n".encode()).rows

    assert row.values == {
        FieldName.FULL_NAME: "Ada Low",
        FieldName.COMPANY_NAME: "Acme",
        FieldName.EMAIL: "ada@cf.com",
        FieldName.COMPANY_SIZE: 50,
    }
