import pytest
from leadflood.domain.imports.rules.row_shape import describe_width, find_shift
from leadflood.domain.imports.schemas.column_fields import ColumnField as Field

PERSON = (Field.FIRST_NAME, Field.LAST_NAME, Field.COMPANY_NAME, Field.EMAIL)


@pytest.mark.parametrize(
    ("cells", "fields", "reason"),
    [
        (["Ada", "Low", "ada@x.com"], PERSON, "'ada@x.com' stands in the column of company_name"),
        (["Ada", "Acmeada@x.com"], PERSON, "'Acmeada@x.com' stands in the column of last_name"),
        (["Ada", "+49 30 1234567"], PERSON, "'+49 30 1234567' stands in the column of last_name"),
        (["COO"], (Field.EMAIL, Field.TITLE), "'COO' stands in the column of email"),
        (["Ada", "", "ada@x.com", ""], PERSON, "the column for it is empty"),
    ],
)
def test_cells_in_wrong_columns_are_noticed(
    cells: list[str], fields: tuple[Field, ...], reason: str
) -> None:
    assert reason in (find_shift(cells, fields) or "")


@pytest.mark.parametrize(
    "cells",
    [
        ["Ada"],
        ["Ada", "Low", "Acme"],
        ["Ada", "Low", "www", "a@b.com"],
        ["a@b.com", "", "", "a@b.com"],
    ],
)
def test_rows_without_their_last_cells_are_rows(cells: list[str]) -> None:
    assert find_shift(cells, PERSON) is None


NOTED = (Field.FULL_NAME, Field.COMPANY_NAME, Field.EMAIL, Field.PHONE, None)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["Ccme", "cat@y.com", "+49 30 901822", "ok"], "'cat@y.com' stands in the column of comp"),
        (
            ["Cat Lo", "Ccme", "+49 30 901822", "ok"],
            "'+49 30 901822' stands in the column of email",
        ),
        (["Cat Lo", "+49 30 901822", "", "ok"], "4 cells where the header has 5"),
        (["Cat Lo", "Ccme", "cat@y.com", "cat@z.com"], "'cat@z.com' stands in the column of phone"),
    ],
)
def test_a_shift_is_noticed_where_the_last_column_is_not_read(
    cells: list[str], reason: str
) -> None:
    assert reason in (find_shift(cells, NOTED) or "")


@pytest.mark.parametrize(
    "cells",
    [
        ["Cat Lo", "Ccme", "cat@y.com", "+49 30 901822"],
        ["Cat Lo", "Ccme", "cat at y.com", "ask Bob"],
        ["Cat Lo", "Ccme"],
    ],
)
def test_a_row_that_lacks_only_what_is_not_read_is_a_row(cells: list[str]) -> None:
    assert find_shift(cells, NOTED) is None


def test_only_cells_that_are_read_are_missed() -> None:
    assert describe_width(["Ada", "a@b.com"], (Field.FULL_NAME, Field.EMAIL, None)) is None
    assert (
        describe_width(["Ada"], (Field.FULL_NAME, Field.EMAIL)) == "1 cells where the header has 2"
    )
