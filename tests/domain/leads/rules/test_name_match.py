import pytest
from leadflood.domain.leads.rules.name_match import organisations_differ, people_differ


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("anna alpha", "anna beta"),
        ("a alpha", "anna alpha"),
        ("alex kim", "alexander kim"),
        ("kim alex", "alex kim"),
        ("dr anna alpha", "anna alpha"),
        ("anna maria alpha", "maria alpha"),
        ("katharina lee", "katarina lee"),
        ("anna", "anna alpha"),
        ("liz low", "elizabeth low"),
        ("山田太郎", "taro yamada"),
        ("", "anna alpha"),
    ],
)
def test_names_that_may_be_one_person_s_do_not_differ(left: str, right: str) -> None:
    assert not people_differ(left, right)
    assert not people_differ(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [("anna alpha", "bert beta"), ("john smith", "jane smith"), ("bert", "anna alpha")],
)
def test_other_given_names_are_other_people_s(left: str, right: str) -> None:
    assert people_differ(left, right)
    assert people_differ(right, left)


def test_organisations_differ_by_their_words() -> None:
    assert not organisations_differ("acme", "acme gmbh")
    assert not organisations_differ("müller maschinenbau", "mueller maschinenbau")
    assert organisations_differ("cafe aurora", "cafe brann")
    assert organisations_differ("acme oslo", "acme bergen")
