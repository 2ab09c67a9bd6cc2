import io
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings, strategies as st
from leadflood.domain.imports.rules import csv_records
from leadflood.domain.imports.rules.address_kinds import kinds_of_columns
from leadflood.domain.imports.rules.csv_records import Dialect, read_records
from leadflood.domain.imports.schemas.records import Record
from leadflood.engine.errors import Invalid

LINE_END = re.compile(r"\r\n|\r|\n")
PIECES = ("a", "Low", "ada@x.com", ",", '"', '""', '",', ',"', " ", "\n", "\r\n", "\r", ";", "\x00")
PEOPLE = Dialect(delimiter=",", width=3, kinds=kinds_of_columns([["a", "b", "c@d.com"]], 3))


def read(text: str, dialect: Dialect = PEOPLE) -> list[Record]:
    return list(read_records(io.StringIO(text, newline=""), dialect))


def problems(records: Sequence[Record]) -> dict[int, str | None]:
    return {record.number: record.problem for record in records}


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60), st.sampled_from([0, 3]))
def test_each_line_is_of_one_row_or_empty(pieces: list[str], width: int) -> None:
    text = "".join(pieces)
    lines = [line.replace("\x00", "") for line in LINE_END.split(text)]

    records = read(text, Dialect(delimiter=",", width=width, kinds=PEOPLE.kinds if width else {}))

    taken = [
        number
        for record in records
        for number in range(record.number, record.number + record.line_count)
    ]
    assert taken == sorted(set(taken))
    assert all(record.line_count == 1 for record in records if record.problem)
    left_out = set(range(1, len(lines) + 1)) - set(taken)
    assert not any(lines[number - 1].strip(', "') for number in left_out)


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ('a,Uq "D" Co,c@d.com\n', ("a", 'Uq "D" Co', "c@d.com")),
        ('5" disc,b,c@d.com\n', ('5" disc', "b", "c@d.com")),
        ('a,"b ""B"", Ltd",c@d.com\n', ("a", 'b "B", Ltd', "c@d.com")),
        ('a,"one\ntwo, three",c@d.com\n', ("a", "one\ntwo, three", "c@d.com")),
        ('"a" ,"b, c" , c@d.com\n', ("a", "b, c", "c@d.com")),
        ('a, "b, c", c@d.com\n', ("a", "b, c", "c@d.com")),
        ('a,"b \\"B\\" c",c@d.com\n', ("a", 'b "B" c', "c@d.com")),
        ('"a,""b, c"",c@d.com"\n', ("a", "b, c", "c@d.com")),
        ('"a,b,c@d.com",,\n', ("a", "b", "c@d.com")),
        ("\ufeff\ufeffa,b,c@d.com\n", ("a", "b", "c@d.com")),
    ],
)
def test_a_row_is_read_as_it_is_meant(text: str, cells: tuple[str, ...]) -> None:
    (record,) = read(text)

    assert record.problem is None
    assert tuple(cell.strip() for cell in record.cells) == cells


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ('Bob,"Bad quote,bob@x.com\n', "text stands behind a closing quote"),
        ('Bob,"B"ad,bob@x.com\n', "text stands behind a closing quote"),
        ('Bob,"Bad,bob@x.com\nCat,C",cat@x.com\n', "a quoted cell holds other rows"),
        ('Bob,"Bad,bob@x.com\nCat,"",cat@x.com\n', "a quoted cell is opened and never closed"),
    ],
)
def test_a_broken_row_costs_its_first_line_only(broken: str, reason: str) -> None:
    below = 'Dan,Uq "D" Co,dan@x.com\nEva,"Uq E",eva@x.com\n'

    records = read("Ada,Acme,ada@x.com\n" + broken + below)

    bad = [record for record in records if record.problem]
    assert [record.number for record in bad] == [2, 3][: 1 + ('C"' in broken)]
    assert (bad[0].problem or "").startswith(reason)
    assert [record.cells[-1] for record in records if not record.problem] == [
        "ada@x.com",
        *(["cat@x.com"] if '""' in broken else []),
        "dan@x.com",
        "eva@x.com",
    ]


def test_a_quote_open_to_the_end_costs_its_line() -> None:
    records = read('Ada,"Acme,ada@x.com\nBob,B,bob@x.com\n')

    assert problems(records) == {1: "a quoted cell is opened and never closed", 2: None}
    assert records[0].cells == ("Ada", '"Acme', "ada@x.com")


def test_a_note_over_several_lines_with_commas_is_a_cell() -> None:
    dialect = Dialect(delimiter=",", width=2, kinds=kinds_of_columns([["a@b.com", "x"]], 2))

    (record,) = read('a@b.com,"Hi, there\nsee, you\nbye, now"\n', dialect)

    assert (record.line_count, record.problem) == (3, None)


def test_many_broken_rows_among_more_sound_ones_are_read() -> None:
    rows = "".join(
        f'P{n},"x"y,p{n}@x.com\nQ{n},y,q{n}@x.com\nR{n},y,r{n}@x.com\n' for n in range(300)
    )

    records = read(rows)

    assert sum(record.problem is not None for record in records) == 300
    assert len(records) == 900


def test_a_file_of_mostly_broken_rows_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        read('a"b,"c\n' * 400)

    assert refused.value.error_code == "leads.csv.broken"


def test_an_endless_row_is_bad_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "MAX_RECORD_CHARS", 1_000)

    records = read("a," + "x" * 5_000 + ",c@d.com\nBob,B,bob@x.com\n")

    assert [record.problem is None for record in records] == [False, True]
    assert records[1].number == 2
