import pytest
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.numbers import is_date, people_count, read_money, read_year


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("51-200", 125),
        ("51 to 200", 125),
        ("501 bis 1000", 750),
        ("51 à 200", 125),
        ("51\u2013200", 125),
        ("1-10 Mitarbeiter", 5),
        ("1,001-5,000 employees", 3000),
        ("10,001+", 10001),
        ("10001 or more", 10001),
        ("over 500", 500),
        ("über 1000", 1000),
        ("plus de 500", 500),
        ("<10", 10),
        ("10+", 10),
        ("ca. 50 Mitarbeiter", 50),
        ("10.000", 10000),
        ("10 000", 10000),
        ("10'000", 10000),
        ("1K", 1000),
        ("1K\u20135K", 3000),
        ("1-5k", 3000),
        ("2.5k", 2500),
        ("1,5 Tsd", 1500),
        ("12,50,000", 1250000),
        ("\uff15\uff10", 50),
        ("\u0665\u0660", 50),
        ("50人", 50),
        (13, 13),
        ("13.0", 13),
        ("self-employed", None),
        ("5-10-20", None),
        ("200-51", None),
        ("50 10", None),
        ("0", None),
        (True, None),
        (float("nan"), None),
    ],
)
def test_a_company_size_is_a_number(text: Scalar, count: int | None) -> None:
    assert people_count(text) == count


@pytest.mark.parametrize(
    "text", ["Oct-50", "2-Oct", "Nov 50", "11-Okt", "01-Nov-2024", "2024-10-02", "2.10.2024"]
)
def test_a_date_where_a_size_stood_is_no_size(text: str) -> None:
    assert is_date(text)
    assert people_count(text) is None


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("10000000", 10_000_000, None),
        ("12,500,000", 12_500_000, None),
        ("1.000.000,00", 1_000_000, None),
        ("1,234.56", 1234.56, None),
        ("$12M", 12_000_000, "USD"),
        ("US$ 5M", 5_000_000, "USD"),
        ("5 Mio €", 5_000_000, "EUR"),
        ("€ 5,5 Mio.", 5_500_000, "EUR"),
        ("5M€", 5_000_000, "EUR"),
        ("5 Mrd.", 5_000_000_000, None),
        ("£2bn", 2_000_000_000, "GBP"),
        ("5 Md€", 5_000_000_000, "EUR"),
        ("12.5k", 12_500, None),
        ("1.234M", 1_234_000, None),
        ("CHF 1'000'000", 1_000_000, "CHF"),
        ("5 crore", 50_000_000, None),
        ("12 lakh", 1_200_000, None),
        ("₹ 12,50,000", 1_250_000, "INR"),
        ("\uff11\uff12\uff10\uff10万円", 12_000_000, "JPY"),
        ("$10M - $50M", 30_000_000, "USD"),
        ("over 5 million EUR", 5_000_000, "EUR"),
        ("10M+", 10_000_000, None),
        ("5 million dollars", 5_000_000, "USD"),
    ],
)
def test_a_sum_is_read_with_its_unit_and_its_currency(
    text: str, amount: float, currency: str | None
) -> None:
    money = read_money(text)

    assert money is not None
    assert (money.amount, money.currency) == (amount, currency)


@pytest.mark.parametrize("text", ["1,234M", "12 mil", "$5 or €5", "-5", "a lot", "1.2.3", "5 MUSD"])
def test_a_sum_that_can_be_two_is_none(text: str) -> None:
    assert read_money(text) is None


def test_a_bare_dollar_is_the_installation_s_own() -> None:
    assert [read_money("$5", own) for own in ("CAD", "EUR")] == [
        read_money("CAD 5"),
        read_money("USD 5"),
    ]


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("2001", 2001),
        ("2001.0", 2001),
        (1999.0, 1999),
        ("01.01.2001", 2001),
        ("2001-05-01", 2001),
        ("since 1998", 1998),
        ("2001年", 2001),
        ("98", None),
        ("1998-2001", None),
        ("20011", None),
        ("long ago", None),
        (7, None),
        (True, None),
    ],
)
def test_a_year_is_the_one_that_a_text_names(text: Scalar, year: int | None) -> None:
    assert read_year(text) == year
