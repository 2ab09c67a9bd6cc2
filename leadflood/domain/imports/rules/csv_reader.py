"""CSV reader: bytes in, records out, piece by piece, with flat memory.

Encoding and delimiter are detected; lines before the header are skipped and kept. A row longer
than `MAX_RECORD_CHARS`, or a quote not closed within `MAX_RECORD_LINES`, costs its line only.
"""

import csv
import io
import itertools
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from leadflood.contracts.normalization.text import clean_text
from leadflood.domain.imports.rules.column_words import count_known
from leadflood.domain.imports.rules.encoding import BLOCK_BYTES, SAMPLE_BYTES, detect_encoding
from leadflood.domain.imports.rules.header_row import HEADER_WITHIN, find_header
from leadflood.engine.errors import Invalid

DELIMITERS = (",", ";", "\t", "|")
MAX_RECORD_CHARS = 1_500_000
MAX_RECORD_LINES = 2_000
MAX_COLUMNS = 500
MAX_BROKEN = 100
MAX_BLANK = 1_048_576
"""As many as a sheet of Excel has rows: one saved with its empty rows is read."""
SAMPLE_ROWS = 60
_SHOWN_CHARS = 10_000

csv.field_size_limit(MAX_RECORD_CHARS + 2)


class Record(msgspec.Struct, frozen=True):
    """A row as it stands in the file.

    `number` is the line it starts on, from 1; `problem` None: its syntax is sound.
    """

    number: int
    cells: tuple[str, ...]
    problem: str | None = None


class CsvFormat(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is written; `warnings` say what was guessed and may be wrong."""

    encoding: str
    delimiter: str
    warnings: tuple[str, ...] = ()


class CsvFile(msgspec.Struct, frozen=True, kw_only=True):
    """An open CSV file.

    - `format`: how it is written.
    - `headers`: its header row; all empty: it has none, and the first row is a record.
    - `skipped_lines`: the lines before the header.
    - `sample`: the first records.
    - `records`: all records, to be read once.
    """

    format: CsvFormat
    headers: tuple[str, ...]
    skipped_lines: tuple[str, ...]
    sample: tuple[Record, ...]
    records: Iterator[Record]


@contextmanager
def open_csv(file: BinaryIO) -> Iterator[CsvFile]:
    """Detect how a file is written and open its records; the file itself stays open.

    Raises: Invalid when it is no CSV.
    """
    encoding = detect_encoding(file)
    file.seek(0)
    text = io.TextIOWrapper(file, encoding.name, encoding.errors, newline="")
    try:
        yield _read_file(text, encoding.name, encoding.warnings)
    finally:
        text.detach()


def _read_file(text: io.TextIOWrapper, encoding: str, warnings: tuple[str, ...]) -> CsvFile:
    delimiter, has_hint = _read_hint(text.readline(SAMPLE_BYTES))
    if not has_hint:
        text.seek(0)
    if delimiter is None:
        delimiter = find_delimiter(text.read(SAMPLE_BYTES))
        text.seek(0)
    records = read_records(text, delimiter, 1 + has_hint)
    first = list(itertools.islice(records, HEADER_WITHIN + SAMPLE_ROWS))
    if not first:
        raise Invalid("the file is empty: it needs a header line and rows", code="leads.csv.empty")
    _require_rows(first)
    rows = [() if record.problem else record.cells for record in first]
    index = find_header(rows)
    width = max(map(len, rows))
    headers = ("",) * width if index is None else tuple(map(clean_text, rows[index]))
    _require_narrow(len(headers))
    body = first if index is None else first[index + 1 :]
    return CsvFile(
        format=CsvFormat(encoding=encoding, delimiter=delimiter, warnings=warnings),
        headers=headers,
        skipped_lines=tuple(delimiter.join(record.cells) for record in first[: index or 0]),
        sample=tuple(body[:SAMPLE_ROWS]),
        records=itertools.chain(body, records),
    )


def read_records(text: io.TextIOBase, delimiter: str, first_line: int) -> Iterator[Record]:
    """Yield the records that are not empty. Raises: Invalid when too many are broken or empty."""
    lines = _RecordLines(text, first_line)
    for _ in range(MAX_BROKEN):
        problem = None
        try:
            for cells in csv.reader(lines, delimiter=delimiter):
                if lines.is_at_end and lines.line_count > 1:
                    problem = "a quoted cell is opened and never closed"
                    break
                number = lines.finish_record()
                if any(cell.strip() for cell in cells):
                    yield Record(number, tuple(cells))
                else:
                    lines.count_blank()
        except _RecordTooLongError:
            problem = (
                f"a quoted cell is never closed, or has more than {MAX_RECORD_LINES:,} lines or"
                f" {MAX_RECORD_CHARS:,} signs"
            )
        except csv.Error as error:
            problem = f"this is no CSV: {error}"
        if problem is None:
            return
        number, line = lines.rewind()
        yield Record(number, (line.rstrip("\r\n")[:_SHOWN_CHARS],), problem)
    raise Invalid(
        f"{MAX_BROKEN} rows open a quote that is never closed, or are endless: this is not the"
        " CSV it seems to be; save it as CSV UTF-8 again, with quotes in cells doubled",
        code="leads.csv.broken",
    )


def find_delimiter(start: str) -> str:
    """Return the delimiter that makes most headers known, then rows most alike."""

    def rank(delimiter: str) -> tuple[int, float, int]:
        widths: list[int] = []
        known_count = 0
        records = read_records(io.StringIO(start, newline=""), delimiter, 1)
        for record in itertools.islice(records, SAMPLE_ROWS):
            widths.append(len(record.cells))
            known_count = max(known_count, count_known(record.cells))
        wide = [width for width in widths if width > 1]
        if not wide:
            return (known_count, 0.0, 0)
        usual_width, row_count = Counter(wide).most_common(1)[0]
        return (known_count, row_count / len(widths), usual_width)

    return max(DELIMITERS, key=rank)


class _RecordTooLongError(Exception):
    """The lines of one record are more than may be held."""


class _RecordLines:
    """An iterator of lines for `csv.reader` that remembers the lines of the present record."""

    def __init__(self, text: io.TextIOBase, first_line: int) -> None:
        self._text = text
        self._number = first_line
        self._lines: list[str] = []
        self._char_count = 0
        self._pending: deque[str] = deque()
        self._blank_count = 0
        self.is_at_end = False

    @property
    def line_count(self) -> int:
        """How many lines the present record has so far."""
        return len(self._lines)

    def __iter__(self) -> "_RecordLines":
        return self

    def __next__(self) -> str:
        line = self._pending.popleft() if self._pending else self._read_line()
        if not line:
            self.is_at_end = True
            raise StopIteration
        self._lines.append(line)
        self._char_count += len(line)
        if self._char_count > MAX_RECORD_CHARS or len(self._lines) > MAX_RECORD_LINES:
            raise _RecordTooLongError
        return line

    def _read_line(self) -> str:
        """Read a line without NUL; of an endless one no more than shows that it is one."""
        line = self._text.readline(MAX_RECORD_CHARS + 1)
        rest = line
        while len(rest) > BLOCK_BYTES and not rest.endswith(("\n", "\r")):
            rest = self._text.readline(MAX_RECORD_CHARS + 1)
        if "\x00" in line:
            return line.replace("\x00", "") or "\n"
        return line

    def finish_record(self) -> int:
        """Drop the lines of a complete record; return the number of the line it started on."""
        number = self._number
        self._number += len(self._lines)
        self._lines, self._char_count = [], 0
        return number

    def count_blank(self) -> None:
        """Count an empty record. Raises: Invalid when there are too many."""
        self._blank_count += 1
        if self._blank_count > MAX_BLANK:
            raise Invalid(
                f"the file has more than {MAX_BLANK:,} empty rows: delete them and save it again",
                code="leads.csv.blank",
            )

    def rewind(self) -> tuple[int, str]:
        """Put all lines but the first back, to be read again; return its number and the line."""
        number, first = self._number, self._lines[0]
        self._pending.extendleft(reversed(self._lines[1:]))
        self._number += 1
        self._lines, self._char_count, self.is_at_end = [], 0, False
        return number, first


def _read_hint(line: str) -> tuple[str | None, bool]:
    """Read the line by which Excel names the delimiter (`sep=;`)."""
    hint = line.strip().removeprefix("\ufeff").casefold()
    if hint.startswith("sep=") and hint[4:5] in DELIMITERS:
        return hint[4], True
    return None, False


def _require_rows(first: Sequence[Record]) -> None:
    if all(record.problem for record in first):
        raise Invalid(
            f"no row can be read: line {first[0].number}: {first[0].problem}; save the table as"
            " CSV UTF-8 again",
            code="leads.csv.broken",
        )


def _require_narrow(column_count: int) -> None:
    if column_count > MAX_COLUMNS:
        raise Invalid(
            f"the file has {column_count:,} columns: up to {MAX_COLUMNS} are read; leave out what"
            " is not about the person or the company",
            code="leads.csv.too_wide",
        )
