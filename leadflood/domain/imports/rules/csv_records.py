"""CSV records: the lines of a file become rows, and what is broken costs its first line only.

Quotes are read strictly: text behind a closing quote, a cell that is never closed, and a cell over
several lines that holds what other rows hold are a broken row. Its first line is bad and says why,
its other lines are read again as rows. So each line is of exactly one row, or empty.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TextIO

import msgspec

from leadflood.domain.imports.rules.address_kinds import AddressKind, kind_of
from leadflood.domain.imports.schemas.records import Record
from leadflood.engine.errors import Invalid

MAX_RECORD_CHARS = 1_500_000
MAX_RECORD_LINES = 2_000
MAX_BROKEN = 100
"""So many broken rows are read in any file, and more where most rows are sound."""
MAX_BLANK = 1_048_576
"""As many as a sheet of Excel has rows: one saved with its empty rows is read."""
_SHOWN_CHARS = 10_000
_QUOTE = re.compile('"')
_QUOTE_BUT_INCHES = re.compile(r'(?<!\d)"')
_NEVER_CLOSED = "a quoted cell is opened and never closed"
_TEXT_BEHIND = "text stands behind a closing quote: put quotes within a cell twice"
_HOLDS_ROWS = "a quoted cell holds other rows: its quote is not closed where the cell ends"
_STRAY_QUOTE = (
    "a quote stands alone in a cell: the one that goes with it, or a delimiter, is missing"
)
_TOO_LONG = (
    f"a quoted cell is never closed, or has more than {MAX_RECORD_LINES:,} lines or"
    f" {MAX_RECORD_CHARS:,} signs"
)

_DOS_END = "\x1a"
"""How programs of DOS end a text."""
_BOMS = ("\ufeff", "ÿþ", "þÿ")
"""A mark at the beginning of a line, where files were joined, and what one of UTF-16 looks like."""

csv.field_size_limit(MAX_RECORD_CHARS + 2)


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows of a file are written.

    - `delimiter`: what stands between cells.
    - `skips_blanks`: blanks behind it are no part of a cell.
    - `width`: how many cells the header has; 0: it is not found yet.
    - `kinds`: the columns that hold addresses or numbers.
    - `header_line`: the line that the header starts on; 0: there is none.
    """

    delimiter: str
    skips_blanks: bool = False
    width: int = 0
    kinds: dict[int, AddressKind] = {}
    header_line: int = 0


class _Fault(Enum):
    OPEN = "the text ends within quotes"
    BROKEN = "text stands behind a closing quote"


_Split = list[str] | _Fault


def read_records(text: TextIO, dialect: Dialect, first_line: int = 1) -> Iterator[Record]:
    """Yield the rows that are not empty.

    Raises: Invalid when most are broken, or too many empty.
    """
    lines = _Lines(text, first_line)
    splitter = _Splitter(dialect)
    sound_count = broken_count = blank_count = 0
    while line := lines.take():
        number = lines.number
        if lines.is_endless:
            record = _break(line, number, _TOO_LONG, dialect)
        elif '"' in line:
            record = _read_quoted(lines, line, splitter)
        else:
            record = Record(number, tuple(line.rstrip("\r\n").split(dialect.delimiter)))
        if record.problem is not None:
            broken_count += 1
            _require_sound(sound_count, broken_count)
        elif any(map(str.strip, record.cells)):
            sound_count += 1
        else:
            blank_count += 1
            _require_filled(blank_count)
            continue
        yield record


def require_rows(first: Sequence[Record]) -> None:
    """Require that a file has a row that can be read, by its first ones. Raises: Invalid."""
    if not first:
        raise Invalid("the file is empty: it needs a header line and rows", code="leads.csv.empty")
    if all(record.problem for record in first):
        raise Invalid(
            f"no row can be read: line {first[0].number}: {first[0].problem}; save the table as"
            " CSV UTF-8 again",
            code="leads.csv.broken",
        )


class _Lines:
    """The lines of a file, without NULs and ends of DOS; some may be put back, to be read again."""

    def __init__(self, text: TextIO, first_line: int) -> None:
        self._text = text
        self._pending: deque[str] = deque()
        self.number = first_line - 1
        self.is_endless = False
        self.is_reread = False

    def take(self) -> str:
        """Return the next line; of an endless one its beginning. Empty: the file has ended."""
        self.is_reread = bool(self._pending)
        line = self._pending.popleft() if self._pending else self._read()
        self.number += bool(line)
        self.is_endless = len(line) > MAX_RECORD_CHARS
        return line

    def put_back(self, lines: Sequence[str]) -> None:
        """Put lines back that were taken last."""
        self._pending.extendleft(reversed(lines))
        self.number -= len(lines)

    def _read(self) -> str:
        line = self._text.readline(MAX_RECORD_CHARS + 1)
        rest = line
        while len(rest) > MAX_RECORD_CHARS and not rest.endswith(("\n", "\r")):
            rest = self._text.readline(MAX_RECORD_CHARS + 1)
        if line.startswith(_BOMS):
            line = line.lstrip("".join(_BOMS)) if self.number < 1 else line.lstrip(_BOMS[0])
            line = line or "\n"
        if "\x00" in line or _DOS_END in line:
            return line.replace("\x00", "").replace(_DOS_END, "") or "\n"
        return line


def _read_quoted(lines: _Lines, line: str, splitter: "_Splitter") -> Record:
    """Read a row whose first line has quotes, with the lines that its cells go over."""
    number, dialect = lines.number, splitter.dialect
    quote = _QUOTE if lines.is_reread else _QUOTE_BUT_INCHES
    cells = splitter.split(line)
    taken = [line]
    problem = _TEXT_BEHIND
    if cells is _Fault.OPEN:
        cells, problem = _read_open(lines, taken, splitter)
    if isinstance(cells, _Fault):
        lines.put_back(taken[1:])
        return _break(line, number, problem, dialect)
    is_below = number > dialect.header_line
    if len(taken) > 1 and is_below and _holds_rows(cells, taken, dialect):
        lines.put_back(taken[1:])
        return _break(line, number, _HOLDS_ROWS, dialect)
    if is_below and splitter.has_stray("".join(taken), quote):
        lines.put_back(taken[1:])
        return _break(line, number, _STRAY_QUOTE, dialect)
    return Record(number, tuple(splitter.unwrap(cells)), None, len(taken))


def _read_open(lines: _Lines, taken: list[str], splitter: "_Splitter") -> tuple[_Split, str]:
    """Take lines until the row is closed; return its cells, or the fault and what to say of it."""
    char_count, quote_count = len(taken[0]), taken[0].count('"')
    has_tried = False
    while line := lines.take():
        taken.append(line)
        char_count += len(line)
        if char_count > MAX_RECORD_CHARS or len(taken) > MAX_RECORD_LINES:
            return _Fault.OPEN, _TOO_LONG
        quotes = line.count('"')
        quote_count += quotes
        if quotes and (not has_tried or quote_count % 2 == 0):
            has_tried = True
            cells = splitter.split("".join(taken))
            if cells is not _Fault.OPEN:
                return cells, _TEXT_BEHIND
    return _Fault.OPEN, _NEVER_CLOSED


def _break(line: str, number: int, problem: str, dialect: Dialect) -> Record:
    """Return the bad row of a line: with the cells it seems to have, or as one cell."""
    text = line.rstrip("\r\n")[:_SHOWN_CHARS]
    cells = text.split(dialect.delimiter)
    is_split = len(cells) == (dialect.width or len(cells))
    return Record(number, tuple(cells) if is_split else (text,), problem)


class _Splitter:
    """Splits the text of a row into cells, in the file's dialect or one that fits its width."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        delimiter = re.escape(dialect.delimiter)
        self._closed = re.compile(rf'"[ \t]+(?={delimiter}|[\r\n]*\Z)')
        self._quoted = re.compile(
            rf'(?:(?<={delimiter})|^)[ \t]*"(?:[^"]|"")*"[ \t]*(?={delimiter}|[\r\n]*\Z)'
        )

    def split(self, text: str) -> _Split:
        """Return the cells, or what is wrong with the quotes."""
        cells = self._parse(text, skips_blanks=self.dialect.skips_blanks)
        if isinstance(cells, list) and len(cells) == self.dialect.width:
            return cells
        if self.dialect.width and (cells is _Fault.BROKEN or f'{self.dialect.delimiter} "' in text):
            return self._split_loosely(text) or cells
        return cells

    def _split_loosely(self, text: str) -> list[str] | None:
        """Read blanks around quotes, and quotes behind a backslash, where the width then fits."""
        attempts = [self._parse(text, skips_blanks=True)]
        attempts.append(self._parse(self._closed.sub('"', text), skips_blanks=True))
        if '\\"' in text:
            attempts.append(self._parse(text.replace('\\"', '""'), skips_blanks=True))
        for cells in attempts:
            if isinstance(cells, list) and len(cells) == self.dialect.width:
                return cells
        return None

    def _parse(self, text: str, *, skips_blanks: bool) -> _Split:
        reader = csv.reader(
            [text], delimiter=self.dialect.delimiter, skipinitialspace=skips_blanks, strict=True
        )
        try:
            return next(reader)
        except csv.Error as error:
            return _Fault.OPEN if str(error).startswith("unexpected end") else _Fault.BROKEN

    def has_stray(self, text: str, quote: re.Pattern[str]) -> bool:
        """Whether a cell that is not in quotes has an odd number of them."""
        cells = self._quoted.sub("", text).split(self.dialect.delimiter)
        return any(len(quote.findall(cell)) % 2 for cell in cells if '"' in cell)

    def unwrap(self, cells: list[str]) -> list[str]:
        """Return the cells of a row that was put in quotes as a whole."""
        width, kinds = self.dialect.width, self.dialect.kinds
        if self.dialect.delimiter not in cells[0] or width == 1 or any(map(str.strip, cells[1:])):
            return cells
        inner = self.split(cells[0])
        if isinstance(inner, _Fault) or len(inner) != (width or len(inner)):
            return cells
        is_alone = len(cells) == 1 and (width != 2 or not kinds)  # noqa: PLR2004 - "Low, Ada"
        fits = any(kind_of(inner[column]) is kind for column, kind in kinds.items())
        return inner if is_alone or fits else cells


def _holds_rows(cells: Sequence[str], lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether a cell over several lines holds as many delimiters, and other signs, as rows do."""
    delimiter, width = dialect.delimiter, dialect.width
    least = max(width - 1, 1)
    swallowed = [cell for cell in cells if "\n" in cell or "\r" in cell]
    if not width or all(cell.count(delimiter) < least for cell in swallowed):
        return False
    if not dialect.kinds:
        return True
    kinds = set(dialect.kinds.values())
    parts = (part for cell in swallowed for part in re.split(rf"[\r\n{delimiter}]", cell))
    return any(kind_of(part) in kinds for part in parts) or any(
        _is_row(line, dialect) for line in lines[1:]
    )


def _is_row(line: str, dialect: Dialect) -> bool:
    """Whether a line by itself would be a row of the file."""
    cells = line.split(dialect.delimiter)
    return len(cells) == dialect.width and all(
        not cells[column].strip() or kind_of(cells[column]) is kind
        for column, kind in dialect.kinds.items()
    )


def _require_sound(sound_count: int, broken_count: int) -> None:
    if broken_count > max(MAX_BROKEN, sound_count):
        raise Invalid(
            f"{broken_count} rows have quotes that are not closed, or are endless, and"
            f" {sound_count} are sound: this is not the CSV it seems to be; save it as CSV UTF-8"
            " again, with quotes in cells doubled",
            code="leads.csv.broken",
        )


def _require_filled(blank_count: int) -> None:
    if blank_count > MAX_BLANK:
        raise Invalid(
            f"the file has more than {MAX_BLANK:,} empty rows: delete them and save it again",
            code="leads.csv.blank",
        )
