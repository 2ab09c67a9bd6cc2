import pytest
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.numbers import people_count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("51-200", 125),
        ("51 to 200", 125),
        ("1,001-5,000 employees", 3000),
        ("10,001+", 10001),
        ("10.000", 10000),
        ("1K", 1000),
        ("2.5k", 2500),
        (13, 13),
        ("13.0", 13),
        ("self-employed", None),
        ("0", None),
        (True, None),
        (float("nan"), None),
    ],
)
def test_a_company_size_is_a_number(text: Scalar, count: int | None) -> None:
    assert people_count(text) == count
