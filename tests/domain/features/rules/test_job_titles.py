import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.normalization.seniority import RANKS
from leadflood.domain.features.rules.job_titles import (
    SIMILAR_ENOUGH,
    department_of,
    seniority_of,
    title_similarity,
)
from tests.domain.icp.icps import CALM
from tests.support.tables import read_rows


@pytest.mark.parametrize(
    ("title", "wanted", "matches"),
    [
        ("VP Operations", "Vice President of Operations", True),
        ("Director of Operations", "Operations Director", True),
        ("Co-Founder & COO", "Chief Operating Officer", True),
        ("Sr. VP, Ops", "VP Operations", True),
        ("Assistant to the VP Operations", "VP Operations", False),
        ("Operations Manager", "Operations Director", False),
        ("Head of Sales", "Head of Operations", False),
        ("PA to Managing Director", "Managing Director", False),
        ("Product Owner", "Owner", False),
        ("Vice President", "President", False),
        ("VP Sales", "President", False),
        ("Account Executive", "Executive", False),
        ("Office of the CEO", "CEO", False),
        ("Deputy CEO", "CEO", False),
        ("former CEO", "CEO", False),
        ("CEO (retired)", "CEO", False),
        ("HR Business Partner", "Partner", False),
        ("Director of Sales, Head of Operations", "Operations Director", False),
        ("C.E.O.", "CEO", True),
        ("CEO & Founder", "Founder", True),
        ("Director, Operations", "Operations Director", True),
        ("Einkaufsleiter(in)", "Head of Purchasing", True),
        ("Directeur des Achats", "Purchasing Director", True),
        ("Gerente de Ventas", "Sales Manager", True),
        ("Inhaber", "Owner", True),
        ("", "COO", False),
    ],
)
def test_titles_are_compared_by_what_they_mean(title: str, wanted: str, matches: bool) -> None:  # noqa: FBT001 - a table
    assert (title_similarity(title, wanted) >= SIMILAR_ENOUGH) is matches


@pytest.mark.parametrize(
    ("level", "title", "expected"),
    [
        ("vp", "", "vp"),
        ("cxo", "whatever", "c_suite"),
        ("", "COO", "c_suite"),
        ("", "Managing Director", "c_suite"),
        ("", "Vice President of Operations", "vp"),
        ("", "Head of Logistics", "head"),
        ("", "Procurement Director", "director"),
        ("", "Co-Founder", "founder"),
        ("", "HR Business Partner", "senior"),
        ("", "Product Owner", "senior"),
        ("", "Executive Assistant to the CEO", "entry"),
        ("", "Buyer", None),
        ("nonsense", "", None),
    ],
)
def test_seniority_is_read_from_the_level_else_from_the_title(
    level: str, title: str, expected: str | None
) -> None:
    assert seniority_of(level, title) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Head of Procurement", "operations"),
        ("CFO", "finance"),
        ("Founder", "executive"),
        ("", None),
    ],
)
def test_departments_are_read_from_titles(title: str, expected: str | None) -> None:
    assert department_of("", title) == expected


@pytest.mark.parametrize(
    ("title", "level"), read_rows("domain/features/rules/data/titles.tsv"), ids=str
)
def test_the_head_of_a_title_decides_in_any_language(title: str, level: str) -> None:
    assert seniority_of("", title) == (level or None)


@pytest.mark.parametrize(
    ("title", "wanted", "matches", "level"),
    read_rows("domain/features/rules/data/k16_titles.tsv"),
)
def test_titles_that_were_taken_for_others(
    title: str, wanted: str, matches: str, level: str
) -> None:
    found = seniority_of("", title)

    if matches:
        assert (title_similarity(title, wanted) >= SIMILAR_ENOUGH) is (matches == "yes")
    if level.startswith("(not "):
        assert found not in {None, level.removeprefix("(not ").removesuffix(")")}
    else:
        assert level in {"", found}


@CALM
@given(st.text(), st.text())
def test_any_two_texts_have_a_similarity(title: str, wanted: str) -> None:
    assert 0 <= title_similarity(title, wanted) <= 1
    assert seniority_of(title, wanted) in {None, *RANKS}
