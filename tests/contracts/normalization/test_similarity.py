import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.normalization.similarity import SAME, company_similarity, name_similarity
from tests.support.tables import read_rows

SIMILARITIES = {"person": name_similarity, "company": company_similarity}


def test_names_of_the_entity_bench_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    rows = read_rows("contracts/data/entity_bench.tsv")

    verdicts = [
        (same == "yes", SIMILARITIES[kind](name, other) >= SAME) for kind, same, name, other in rows
    ]

    called = sum(verdict for _, verdict in verdicts)
    right = sum(same and verdict for same, verdict in verdicts)
    accuracy = sum(same is verdict for same, verdict in verdicts) / len(verdicts)
    precision, recall = right / called, right / sum(same for same, _ in verdicts)
    with capsys.disabled():
        print(f" [{accuracy=:.3f} {precision=:.3f} {recall=:.3f}] ", end="")  # noqa: T201 - the figures
    assert (len(rows), accuracy >= 0.88, precision >= 0.98, recall >= 0.80) == (
        228,
        True,
        True,
        True,
    )


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Ada Berg", "Dr. Ada Berg"),
        ("Ada Berg", "Berg, Ada"),
        ("Ada Berg", "Ada Maria Berg"),
        ("Ada Berg", "A. Berg"),
        ("Jürgen Müller", "Juergen Mueller"),
        ("Jürgen Müller", "Jurgen Muller"),
        ("Søren Ørsted", "Soren Orsted"),
        ("Robert Smith", "Bob Smith"),
        ("Jan van der Berg", "Jan Berg"),
        ("Katharina Schmidt", "Katarina Schmitt"),
    ],
)
def test_spellings_of_one_person_are_alike(name: str, other: str) -> None:
    assert name_similarity(name, other) == name_similarity(other, name) >= SAME


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Ada Berg", "Ida Berg"),
        ("Ada Berg", "Ada Bergmann"),
        ("Ada Berg", "Berg"),
        ("A. Berg", "B. Berg"),
        ("John A. Smith", "John B. Smith"),
        ("John Smith", "Jane Smith"),
        ("Michel Durand", "Michelle Durand"),
        ("Ada Berg", "山田太郎"),
        ("", ""),
    ],
)
def test_two_people_are_not(name: str, other: str) -> None:
    assert name_similarity(name, other) == name_similarity(other, name) < SAME


@pytest.mark.parametrize(
    ("name", "other", "same"),
    [
        ("Acme GmbH", "ACME", True),
        ("Acme GmbH", "Acme Gesellschaft mit beschränkter Haftung", True),
        ("Acme GmbH", "Acme AG", False),
        ("Acme Deutschland GmbH", "Acme GmbH", True),
        ("The Good Will Co.", "Goodwill", True),
        ("A.B.C. Ltd", "ABC Limited", True),
        ("Acme Systems", "Acme", False),
        ("Acme Nord", "Acme Süd", False),
        ("BWI Industries", "BAE Industries", False),
        ("株式会社ソニー", "ソニー", True),
        ("", "", False),
    ],
)
def test_companies_are_told_apart_by_their_words(name: str, other: str, same: bool) -> None:  # noqa: FBT001 - a table
    assert (company_similarity(name, other) >= SAME) is same
    assert (company_similarity(other, name) >= SAME) is same


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_two_texts_have_a_similarity(name: str, other: str) -> None:
    assert 0 <= name_similarity(name, other) <= 1
    assert 0 <= company_similarity(name, other) <= 1
