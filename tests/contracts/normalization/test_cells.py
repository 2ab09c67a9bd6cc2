import pytest
from leadflood.contracts.normalization.cells import ReadCell, read_cell
from leadflood.contracts.values import FieldName


@pytest.mark.parametrize(
    ("field", "text", "cell"),
    [
        (FieldName.EMAIL, " Ada@Acme.COM ", ReadCell("ada@acme.com")),
        (FieldName.TITLE, "  ", ReadCell(None)),
        (FieldName.COMPANY_FOUNDED, "long ago", ReadCell(None, "'long ago' is not understood")),
        (FieldName.COMPANY_TECHNOLOGIES, "SAP; Jira|Git", ReadCell(("SAP", "Jira", "Git"))),
    ],
)
def test_a_cell_is_read_as_the_value_of_its_field(
    field: FieldName, text: str, cell: ReadCell
) -> None:
    assert read_cell(field, text) == cell
