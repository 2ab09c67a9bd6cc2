import io
import json
from pathlib import Path

import pytest
from hypothesis import assume, given, settings, strategies as st
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules import csv_records
from leadflood.domain.imports.rules.csv_reader import open_csv
from leadflood.domain.imports.rules.csv_records import Dialect, read_records
from leadflood.domain.imports.rules.csv_sniffer import DELIMITERS, find_delimiter
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.rows import ReadCsv
from leadflood.engine.errors import Invalid

DATA = Path(__file__).parents[1] / "data"
SPECTRUM = sorted(file.stem for file in (DATA / "expected").glob("*.json"))


def reason_of(file: ReadCsv) -> str:
    (bad,) = file.bad
    return bad.reason


@pytest.mark.parametrize("name", SPECTRUM)
def test_hard_syntax_gives_exactly_the_cells_expected(name: str) -> None:
    text = (DATA / f"{name}.csv").read_bytes().decode()
    expected = json.loads((DATA / "expected" / f"{name}.json").read_text())

    records = read_records(io.StringIO(text, newline=""), Dialect(delimiter=","))
    header, *rows = (record.cells for record in records)

    cells = [dict(zip(header, row, strict=True)) for row in rows]
    assert find_delimiter(text) == ","
    assert [_flat(row) for row in cells] == [_flat(row) for row in expected]


def _flat(row: dict[str, str]) -> dict[str, str]:
    return {name: cell.replace("\r\n", "\n") for name, cell in row.items()}


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_is_found_among_cells_full_of_others(delimiter: str) -> None:
    lines = ["email", "name", "title"], ["a@b.example", "Lee, Ann; Dr | PhD", "CEO; founder, owner"]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)

    file = read_csv(text.encode())

    assert file.delimiter == delimiter
    assert file.rows[0].values[FieldName.TITLE] == "CEO; founder, owner"


def test_excels_hint_names_the_delimiter() -> None:
    file = read_csv(b"sep=;\r\nemail;name\r\na@b.example;Ann\r\n")

    assert (file.delimiter, file.rows[0].number) == (";", 3)


def test_cells_over_many_lines_keep_their_row_and_its_number() -> None:
    file = read_csv(b'email,title\na@b.example,"one\ntwo\nthree"\nc@d.example,x\n')

    assert [row.number for row in file.rows] == [2, 5]
    assert file.rows[0].values[FieldName.TITLE] == "one two three"


def test_a_quote_that_is_never_closed_costs_its_own_row_only() -> None:
    file = read_csv(b'email,title\na@b.example,"CEO\nc@d.example,CTO\ne@f.example,CFO\n')

    assert [row.number for row in file.rows] == [3, 4]
    assert (file.bad[0].number, reason_of(file)) == (2, "a quoted cell is opened and never closed")


def test_a_broken_row_does_not_tell_what_a_column_holds() -> None:
    file = read_csv(
        b'City,Name,Email\nRome"x,Ann,"a",a@b.com\nBonn,Bob,b@b.com\nOslo"y,C,"c",c@b.com\n'
    )

    assert [row.number for row in file.bad] == [2, 4]
    assert file.rows[0].values[FieldName.CITY] == "Bonn"


def test_huge_cells_are_read() -> None:
    file = read_csv(b"email,title\na@b.example," + b"x" * 1_000_000 + b"\n")

    assert len(str(file.rows[0].values[FieldName.TITLE])) == 4_000


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "leads.csv.empty"),
        (b"\n\n  \n", "leads.csv.empty"),
        (b"PK\x03\x04rest", "leads.zip.broken"),
        (b"\x00\xff\xfe\x80" * 50, "leads.csv.foreign"),
    ],
)
def test_a_file_that_is_no_csv_is_refused_with_what_to_change(raw: bytes, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_csv(raw)

    assert refused.value.error_code == code


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        file = read_csv(b"email,name\n" + raw)
    except Invalid:
        return
    assert file.columns


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.example", fullmatch=True),
            st.text(max_size=30),
        ),
        max_size=10,
    ),
    st.sampled_from(DELIMITERS),
)
def test_no_row_is_lost(rows: list[tuple[str, str]], delimiter: str) -> None:
    # a line of a cell with as many delimiters as a row has is a row that a quote has swallowed
    assume(not any(delimiter in title and {"\r", "\n"} & {*title} for _, title in rows))
    quoted = (f'{email}{delimiter}"{title.replace(chr(34), chr(34) * 2)}"' for email, title in rows)
    text = "\n".join([f"email{delimiter}title", *quoted])

    file = read_csv(text.encode("utf-8", "replace"))

    assert len(file.rows) + len(file.bad) == len(rows)


def test_a_file_of_very_many_empty_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "MAX_BLANK", 100)

    for blank in (b"\n", b",,\n"):
        with open_csv(io.BytesIO(b"email,a,b\nx@y.example,,\n" + blank * 100)) as file:
            assert len(list(file.records)) == 1
        with (
            pytest.raises(Invalid) as refused,
            open_csv(io.BytesIO(b"email,a,b\nx@y.example,,\n" + blank * 101)) as file,
        ):
            list(file.records)
        assert refused.value.error_code == "leads.csv.blank"


@pytest.mark.parametrize("end", [b"\x1a", b"\n\x1a", b"\r\n\x1a\x1a"])
def test_the_end_of_a_text_of_dos_is_no_cell(end: bytes) -> None:
    file = read_csv(b"Name,Company,Email\nAda Low,Acme,ada@y.com" + end)

    assert [row.values[FieldName.EMAIL] for row in file.rows] == ["ada@y.com"]
    assert file.bad == ()
