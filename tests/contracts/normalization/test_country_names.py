from concurrent.futures import ThreadPoolExecutor

import pytest
from babel import localedata
from leadflood.contracts.normalization.country_names import fold_name, list_names, read_names


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("Deutschland", ("DE",)),
        ("Pobřeží slonoviny", ("CI",)),
        ("Ελλάδα", ("GR",)),
        ("ประเทศไทย", ()),
        ("ไทย", ("TH",)),
        ("日本", ("JP",)),
        ("Ujerumani", ("DE",)),
        ("Nigeri", ("NE", "NG")),
        ("USA", ()),
    ],
)
def test_a_name_is_its_country_s_in_any_language(name: str, codes: tuple[str, ...]) -> None:
    assert read_names().get(fold_name(name), ()) == codes


def test_the_usual_languages_decide_where_they_agree() -> None:
    everywhere = {
        code
        for code, name in list_names(localedata.locale_identifiers())
        if fold_name(name) == "kongo"
    }

    assert everywhere == {"CD", "CG"}
    assert read_names()["kongo"] == ("CG",)


def test_who_asks_at_once_waits_and_gets_the_same() -> None:
    with ThreadPoolExecutor(4) as threads:
        names = list(threads.map(lambda _: read_names(), range(4)))

    assert len({id(each) for each in names}) == 1
    assert len(names[0]) > 30_000
