import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.csv_safety import MARK, neutral, restore

ATTACKS = (Path(__file__).parent / "csv_injection_payloads.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize("attack", [one for one in ATTACKS if one])
def test_a_known_attack_begins_with_a_mark(attack: str) -> None:
    for cell in (attack, f"  {attack}", f"\t{attack}", f"\u00a0{attack}", f"\u200b\ufeff{attack}"):
        assert neutral(cell).startswith(MARK)
        assert restore(neutral(cell)) == cell


@pytest.mark.parametrize("cell", ["x;=1+1", "x\t@a", "x|+1", "x\n=1", "a;b; -1", "x\r\n=1"])
def test_what_begins_behind_a_separator_is_marked_too(cell: str) -> None:
    marked = neutral(cell)

    assert marked != cell
    assert restore(marked) == cell


@pytest.mark.parametrize("cell", ["'s-Hertogenbosch", "'t Hooft", "O'Neil; 'n Beetje", "'"])
def test_an_apostrophe_that_is_no_mark_stays(cell: str) -> None:
    assert restore(cell) == cell


@pytest.mark.parametrize("start", list("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\u2212"))
def test_each_start_of_a_formula_is_marked_also_in_its_wide_form(start: str) -> None:
    assert neutral(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("cell", ["", "Ann", "a=b", "1-2", "ann@acme.example", "  Ann", "\u00a0x"])
def test_what_is_no_formula_stays_as_it_is(cell: str) -> None:
    assert neutral(cell) == cell


@given(st.text())
def test_every_cell_can_be_read_back(cell: str) -> None:
    assert restore(neutral(cell)) == cell


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))))
def test_no_cell_of_a_file_begins_as_a_formula(cells: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text).writerow(["id", *map(neutral, cells)])

    (row,) = csv.reader(io.StringIO(text.getvalue(), newline=""))

    assert [restore(cell) for cell in row[1:]] == cells
    assert not [cell for cell in row if cell.lstrip()[:1] in set("=+-@") and cell.lstrip()]
