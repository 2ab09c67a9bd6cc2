import pytest
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.shared_domains import DomainReader
from leadflood.domain.imports.schemas.rows import ImportRow


def a_row(number: int, name: str, city: str = "", person: str = "") -> ImportRow:
    values = {
        FieldName.COMPANY_DOMAIN: "cafe.example",
        FieldName.COMPANY_NAME: name,
        FieldName.CITY: city,
        FieldName.FULL_NAME: person,
    }
    return ImportRow(
        number=number, values={field: text for field, text in values.items() if text}, raw=()
    )


@pytest.mark.parametrize(
    ("second", "note"),
    [
        (a_row(3, "Aurora GmbH", "Oslo"), ""),
        (a_row(3, "Aurora", "Bergen"), "the company in 'Oslo' in line 2"),
        (a_row(3, "Brann", "Oslo"), "'Aurora' in line 2"),
        (a_row(3, "Aurora", "Bergen", "Ada Berg"), ""),
    ],
)
def test_a_domain_of_several_companies_or_cities_is_told(second: ImportRow, note: str) -> None:
    reader = DomainReader()

    first = reader.read(a_row(2, "Aurora", "Oslo"))
    notes = reader.read(second)

    assert first == ()
    assert [note in text and text.startswith("company_domain: ") for text in notes] == (
        [True] if note else []
    )
