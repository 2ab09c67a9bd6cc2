"""The benchmark of files, small: the given files one by one, and some damages."""

import tomllib

import pytest
from benchmarks.files import MESSY, check_damages, check_file, check_given, find_file, judge_one

EXPECTED = tomllib.loads((MESSY / "expected.toml").read_text("utf-8"))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_as_people_have_it_gives_what_it_should(name: str) -> None:
    path = find_file(name)

    assert check_file(path, EXPECTED[name]) == []


def test_all_given_files_are_judged() -> None:
    names = {path.stem for path in MESSY.glob("k*")}
    figures = {"files": 0, "asExpected": 0}

    assert names <= EXPECTED.keys()
    assert check_given(figures) == []
    assert figures["files"] == figures["asExpected"] > len(EXPECTED)


@pytest.mark.parametrize("seed", range(5))
def test_damage_loses_nothing_and_gives_nobody_anothers_cell(seed: int) -> None:
    counts = ("files", "asExpected", "silentLoss", "rowsWithAnothersCell", "crashes")
    figures = dict.fromkeys(counts, 0)

    wrong = check_damages(figures, 60, seed + 100)

    assert wrong == []
    assert figures["asExpected"] == figures["files"] == 60


def test_the_same_seed_damages_a_file_in_the_same_way() -> None:
    assert judge_one(7)[1] == judge_one(7)[1]
