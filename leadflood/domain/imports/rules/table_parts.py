"""Table parts: what stands among the rows of a table and is none of them.

The header once more, a second table, notes and totals below the last row.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from leadflood.contracts.normalization.text import name_key
from leadflood.contracts.word_files import read_tables
from leadflood.domain.imports.rules.address_kinds import kind_of
from leadflood.domain.imports.rules.column_words import count_known
from leadflood.domain.imports.schemas.records import Record

_REPEATED = "the header once more, not a row"
_SECOND_HEADER = "a second header row, not a row"
_NOTE = "a note beside the table, not a row"
_TOTAL = "a total of the rows above, not a row"
_OTHER_TABLE = "it belongs to a second table, below line {line}: make that a file of its own"
_MIN_HEADERS = 2
_FEW_CELLS = 2
"""How many cells of a row a note fills at most."""
_MIN_WIDTH = 3
_NUMBER = re.compile(r"[\d\s.,%+'\u2019$€£¥-]*")
_WORDS = read_tables("trailers.toml")
_NOTES = tuple(name_key(words) for words in _WORDS["notes"])
_TOTALS = frozenset(name_key(word) for word in _WORDS["totals"])


def name_parts(records: Iterator[Record], headers: Sequence[str]) -> Iterator[Record]:
    """Yield the records below a header; what is no row of its table is bad and says what it is."""
    header = _keys(headers)
    first_name = next((cell.casefold() for cell in headers if cell), "")
    second_line = 0
    is_first = True
    for record in records:
        problem = record.problem
        filled = [cell for cell in record.cells if cell.strip()]
        if problem is None and _may_be_header(filled, first_name):
            if first_name and _keys(record.cells)[: len(header)] == header:
                problem, second_line = _REPEATED, 0
            elif _is_header(filled):
                problem = _SECOND_HEADER
                second_line = 0 if is_first else record.number
        if problem is None and second_line:
            problem = _OTHER_TABLE.format(line=second_line)
        if problem is None and len(headers) >= _MIN_WIDTH:
            problem = _name_note(filled)
        is_first = False
        yield (
            record
            if problem is record.problem
            else msgspec.structs.replace(record, problem=problem)
        )


def _keys(cells: Sequence[str]) -> list[str]:
    return [name_key(cell) for cell in cells]


def _may_be_header(filled: Sequence[str], first_name: str) -> bool:
    """Whether it is worth a closer look: most rows have an address, or a digit."""
    if len(filled) < _MIN_HEADERS:
        return False
    return filled[0].strip().casefold() == first_name or not any(map(_has_digit, filled))


_has_digit = re.compile(r"[\d@]").search


def _is_header(filled: Sequence[str]) -> bool:
    known_count = count_known(filled)
    return known_count >= _MIN_HEADERS and 2 * known_count > len(filled)


def _name_note(filled: Sequence[str]) -> str | None:
    """Return what a row with few cells is, by its first words; None: it may be a row."""
    key = name_key(filled[0]) if filled else ""
    if key in _TOTALS and all(_NUMBER.fullmatch(cell) for cell in filled[1:]):
        return _TOTAL
    is_note = len(filled) <= _FEW_CELLS and key.startswith(_NOTES)
    return _NOTE if is_note and not any(map(kind_of, filled)) else None
