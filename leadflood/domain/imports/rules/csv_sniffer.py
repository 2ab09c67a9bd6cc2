"""CSV sniffer: how the rows of a file are written, and where its header is, by its beginning."""

import io
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

import msgspec

from leadflood.domain.imports.rules.address_kinds import kinds_of_columns
from leadflood.domain.imports.rules.column_words import count_known
from leadflood.domain.imports.rules.csv_records import Dialect, read_records, require_rows
from leadflood.domain.imports.rules.header_row import HEADER_WITHIN, find_header
from leadflood.domain.imports.schemas.records import Record

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_CHARS = 200_000
SAMPLE_ROWS = 60
_BOM = "\ufeff"


class SniffedCsv(msgspec.Struct, frozen=True):
    """How a file is written.

    - `dialect`: how its rows are.
    - `first_line`: the first line that is no hint about the delimiter.
    """

    dialect: Dialect
    first_line: int


def sniff(text: TextIO) -> SniffedCsv:
    """Sniff an open file; it is then at its first row.

    Raises: Invalid when it is empty, or no row can be read.
    """
    hint = read_hint(text.readline(SAMPLE_CHARS))
    first_line = 1 if hint is None else 2
    _rewind(text, first_line)
    sample = _whole_lines(text.read(SAMPLE_CHARS))
    _rewind(text, first_line)
    delimiter = hint or find_delimiter(sample)
    first = _read_first(sample, Dialect(delimiter=delimiter), first_line)
    require_rows(first)
    return SniffedCsv(_dialect_of(first, delimiter), first_line)


def _rewind(text: TextIO, first_line: int) -> None:
    text.seek(0)
    for _ in range(1, first_line):
        text.readline(SAMPLE_CHARS)


def _dialect_of(first: Sequence[Record], delimiter: str) -> Dialect:
    rows = [record.cells for record in first]
    index = find_header(rows)
    if index is None:
        width = Counter(map(len, rows)).most_common(1)[0][0]
        return Dialect(delimiter=delimiter, width=width, kinds=kinds_of_columns(rows, width))
    header = rows[index]
    return Dialect(
        delimiter=delimiter,
        skips_blanks=len(header) > 1 and all(cell[:1] == " " for cell in header[1:] if cell),
        width=len(header),
        kinds=kinds_of_columns(rows[index + 1 :], len(header)),
        header_line=first[index].number,
    )


def read_hint(line: str) -> str | None:
    """Return the delimiter that Excel's first line names (`sep=;`); None: it is no such line."""
    hint = line.strip('\r\n "' + _BOM)
    is_hint = hint[:4].casefold() == "sep=" and len(hint.rstrip(hint[4:5] + " ")) <= len("sep=")
    return hint[4] if is_hint and hint[4:5] in {*DELIMITERS} else None


def find_delimiter(start: str) -> str:
    """Return the delimiter that makes most headers known, then rows most alike."""

    def rank(delimiter: str) -> tuple[int, float, int]:
        records = _read_first(start, Dialect(delimiter=delimiter), 1)[:SAMPLE_ROWS]
        known_count = max((count_known(record.cells) for record in records), default=0)
        wide = [len(record.cells) for record in records if len(record.cells) > 1]
        if not wide:
            return (known_count, 0.0, 0)
        usual_width, row_count = Counter(wide).most_common(1)[0]
        return (known_count, row_count / len(records), usual_width)

    return max(DELIMITERS, key=rank)


def _read_first(sample: str, dialect: Dialect, first_line: int) -> Sequence[Record]:
    records = read_records(io.StringIO(sample, newline=""), dialect, first_line)
    return list(itertools.islice(records, HEADER_WITHIN + SAMPLE_ROWS))


def _whole_lines(sample: str) -> str:
    """Leave out a last line that is cut."""
    if len(sample) < SAMPLE_CHARS:
        return sample
    return sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
