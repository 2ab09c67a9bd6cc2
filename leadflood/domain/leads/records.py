"""A CSV file read piece by piece, whatever it looks like: bytes in, records out, memory flat.

Encoding and delimiter are detected, notes before the header are skipped and kept. A row longer
than `MOST_RECORD_CHARS`, or a quote never closed within `MOST_RECORD_LINES`, costs its line only.
"""

import codecs
import csv
import io
import itertools
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import msgspec
from charset_normalizer import from_bytes

from leadflood.contracts.normalization import clean_text
from leadflood.domain.leads.headers import known_cells
from leadflood.engine.errors import Invalid

DELIMITERS = (",", ";", "\t", "|")
MOST_RECORD_CHARS = 1_500_000
MOST_RECORD_LINES = 2_000
MOST_COLUMNS = 500
MOST_BROKEN = 100
SAMPLE = 60
_HEADER_WITHIN = 30
_DETECT = 200_000
_PIECE = 1_000_000
_SHOWN_CHARS = 10_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OLD_ENCODINGS = ["cp1252", "cp1250", "cp1251", "cp932", "gb18030", "big5", "euc_kr", "mac_roman"]
_WORKBOOK = "this is a spreadsheet's own file, not a CSV: save it as CSV UTF-8 first"
_FOREIGN = (
    (b"PK\x03\x04", "leads.csv.workbook", _WORKBOOK),
    (b"PK\x05\x06", "leads.csv.workbook", _WORKBOOK),
    (b"\xd0\xcf\x11\xe0", "leads.csv.workbook", _WORKBOOK),
    (b"%PDF-", "leads.csv.foreign", "this is a PDF, not a CSV: export the table as CSV UTF-8"),
    (b"\x1f\x8b", "leads.csv.foreign", "this is a packed file, not a CSV: unpack it first"),
    (b"7z\xbc\xaf", "leads.csv.foreign", "this is a packed file, not a CSV: unpack it first"),
)
_STRAY = "leadflood.stray"
_ESCAPED = re.compile("[\udc80-\udcff]")
_FOREIGN_CHARS = re.compile("[^\x00-\x7f]")

csv.field_size_limit(MOST_RECORD_CHARS + 2)


def _read_stray(error: UnicodeError) -> tuple[str, int]:
    """Read what is no UTF-8 in a file of UTF-8 as Windows-1252: somebody pasted it in."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    stray = error.object[error.start : error.end]
    return bytes(stray).decode("cp1252", "replace"), error.end


codecs.register_error(_STRAY, _read_stray)


class Record(msgspec.Struct, frozen=True):
    """A row as it stands, by the line it starts on; `problem` when its syntax is broken."""

    number: int
    cells: tuple[str, ...]
    problem: str | None = None


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is written; `warnings` say what was guessed and may be wrong."""

    encoding: str
    errors: str
    delimiter: str
    warnings: tuple[str, ...] = ()


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """An open file: how it is written, its header, and the rows that follow (read them once)."""

    form: Form
    headers: tuple[str, ...]
    skipped_lines: tuple[str, ...]
    sample: tuple[Record, ...]
    records: Iterator[Record]


@contextmanager
def open_sheet(file: BinaryIO) -> Iterator[Sheet]:
    """Find out how a file is written, and open its rows; the file itself stays open.

    Raises: Invalid where it is no CSV at all, or has no column that is understood.
    """
    encoding, errors, warnings = _find_encoding(file)
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, errors, newline="")
    try:
        form = Form(encoding=encoding, errors=errors, delimiter="", warnings=warnings)
        yield _read_sheet(text, form)
    finally:
        text.detach()


def _read_sheet(text: io.TextIOWrapper, form: Form) -> Sheet:
    delimiter, hinted = _hint_in(text.readline(_DETECT))
    if not hinted:
        text.seek(0)
    if delimiter is None:
        delimiter = find_delimiter(text.read(_DETECT))
        text.seek(0)
    records = read_records(text, delimiter, 1 + hinted)
    first = list(itertools.islice(records, _HEADER_WITHIN + SAMPLE))
    if not first:
        raise Invalid("the file is empty: it needs a header line and rows", code="leads.csv.empty")
    place = _find_header(first)
    headers = tuple(clean_text(cell) for cell in first[place].cells)
    _require_narrow(len(headers))
    body = first[place + 1 :]
    return Sheet(
        form=msgspec.structs.replace(form, delimiter=delimiter),
        headers=headers,
        skipped_lines=tuple(delimiter.join(record.cells) for record in first[:place]),
        sample=tuple(body[:SAMPLE]),
        records=itertools.chain(body, records),
    )


def read_records(text: io.TextIOBase, delimiter: str, first_line: int) -> Iterator[Record]:
    """Tell the records that have anything in them. Raises: Invalid when too many are broken."""
    lines = _Lines(text, first_line)
    for _ in range(MOST_BROKEN):
        broken = None
        try:
            for cells in csv.reader(lines, delimiter=delimiter):
                if lines.has_ended and lines.taken_count > 1:
                    broken = "a quoted cell is opened and never closed"
                    break
                number = lines.settle()
                if any(cell.strip() for cell in cells):
                    yield Record(number, tuple(cells))
        except _TooLongError:
            broken = (
                f"a quoted cell is never closed, or has more than {MOST_RECORD_LINES:,} lines or"
                f" {MOST_RECORD_CHARS:,} signs"
            )
        except csv.Error as error:
            broken = f"this is no CSV: {error}"
        if broken is None:
            return
        number, line = lines.give_back()
        yield Record(number, (line.rstrip("\r\n")[:_SHOWN_CHARS],), broken)
    raise Invalid(
        f"{MOST_BROKEN} rows open a quote that is never closed, or are endless: this is not the"
        " CSV it seems to be; save it as CSV UTF-8 again, with quotes in cells doubled",
        code="leads.csv.broken",
    )


def find_delimiter(start: str) -> str:
    """Tell what separates cells: what makes headers known, then what makes rows alike."""

    def merit(delimiter: str) -> tuple[int, float, int]:
        widths: list[int] = []
        known = 0
        records = read_records(io.StringIO(start, newline=""), delimiter, 1)
        for record in itertools.islice(records, SAMPLE):
            widths.append(len(record.cells))
            known = max(known, known_cells(record.cells))
        wide = [width for width in widths if width > 1]
        if not wide:
            return (known, 0.0, 0)
        usual, times = Counter(wide).most_common(1)[0]
        return (known, times / len(widths), usual)

    return max(DELIMITERS, key=merit)


class _TooLongError(Exception):
    """The lines of one record are more than may be held."""


class _Lines:
    """Lines for the reader of csv, which remembers those of the record it is in."""

    def __init__(self, text: io.TextIOBase, first_line: int) -> None:
        self._text = text
        self._number = first_line
        self._taken: list[str] = []
        self._taken_chars = 0
        self._given_back: deque[str] = deque()
        self.has_ended = False

    @property
    def taken_count(self) -> int:
        """How many lines the record in hand has."""
        return len(self._taken)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else self._read()
        if not line:
            self.has_ended = True
            raise StopIteration
        self._taken.append(line)
        self._taken_chars += len(line)
        if self._taken_chars > MOST_RECORD_CHARS or len(self._taken) > MOST_RECORD_LINES:
            raise _TooLongError
        return line

    def _read(self) -> str:
        """Read a line without NUL; of an endless one no more than shows that it is one."""
        line = self._text.readline(MOST_RECORD_CHARS + 1)
        rest = line
        while len(rest) > _PIECE and not rest.endswith(("\n", "\r")):
            rest = self._text.readline(MOST_RECORD_CHARS + 1)
        if "\x00" in line:
            return line.replace("\x00", "") or "\n"
        return line

    def settle(self) -> int:
        """Forget the lines of a record that is whole; tell the line it started on."""
        number = self._number
        self._number += len(self._taken)
        self._taken, self._taken_chars = [], 0
        return number

    def give_back(self) -> tuple[int, str]:
        """Take all lines but the first back, to be read again; tell the first, and its number."""
        number, first = self._number, self._taken[0]
        self._given_back.extendleft(reversed(self._taken[1:]))
        self._number += 1
        self._taken, self._taken_chars, self.has_ended = [], 0, False
        return number, first


def _find_encoding(file: BinaryIO) -> tuple[str, str, tuple[str, ...]]:
    """Tell (encoding, what to do with what is none of it, warnings). Raises: Invalid."""
    file.seek(0)
    head = file.read(4096)
    for magic, code, text in _FOREIGN:
        if head.startswith(magic):
            raise Invalid(text, code=code)
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding, "replace", ()
    if head.count(0) > len(head) // 4:
        is_little = head[1::2].count(0) >= head[::2].count(0)
        return ("utf-16-le" if is_little else "utf-16-be"), "replace", ()
    return _encoding_of_bytes(file)


def _encoding_of_bytes(file: BinaryIO) -> tuple[str, str, tuple[str, ...]]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    stray = foreign = at = 0
    first_at = None
    file.seek(0)
    while piece := file.read(_PIECE):
        text = decoder.decode(piece)
        found = len(_ESCAPED.findall(text))
        if found and first_at is None:
            first_at = at
        stray += found
        foreign += len(_FOREIGN_CHARS.findall(text)) if not text.isascii() else 0
        at += len(piece)
    stray += len(_ESCAPED.findall(decoder.decode(b"", final=True)))
    if not stray:
        return "utf-8", "strict", ()
    if foreign > 2 * stray:
        told = f"{stray} places are no UTF-8 as the rest is: they were read as Windows-1252"
        return "utf-8", _STRAY, (told,)
    return _guess(file, first_at or 0)


def _guess(file: BinaryIO, at: int) -> tuple[str, str, tuple[str, ...]]:
    file.seek(at)
    raw = file.read(_DETECT)
    if raw.isascii():
        raw = next(
            (piece for piece in iter(lambda: file.read(_DETECT), b"") if not piece.isascii()), raw
        )
    best = from_bytes(raw, cp_isolation=_OLD_ENCODINGS).best()
    encoding = "cp1252"
    if best is not None and raw.decode("cp1252", "replace") != raw.decode(best.encoding, "replace"):
        encoding = best.encoding
    told = f"the encoding is not said; read as {encoding}: look at the samples, or save as UTF-8"
    return encoding, "replace", (told,)


def _hint_in(line: str) -> tuple[str | None, bool]:
    """Read the line by which Excel names the delimiter (`sep=;`)."""
    hint = line.strip().removeprefix("\ufeff").casefold()
    if hint.startswith("sep=") and hint[4:5] in DELIMITERS:
        return hint[4], True
    return None, False


def _find_header(first: Sequence[Record]) -> int:
    """Find the row with the most cells that are known headers, among the first ones."""
    within = first[:_HEADER_WITHIN]
    place = max(range(len(within)), key=lambda at: known_cells(within[at].cells))
    if known_cells(within[place].cells) == 0:
        _require_narrow(len(within[0].cells))
        seen = ", ".join(repr(cell[:40]) for cell in within[0].cells[:8])
        raise Invalid(
            f"no column is understood: the first row reads {seen}; name at least one column "
            "email, full_name, linkedin_url or company_domain",
            code="leads.csv.no_header",
        )
    return place


def _require_narrow(columns: int) -> None:
    if columns > MOST_COLUMNS:
        raise Invalid(
            f"the file has {columns:,} columns: up to {MOST_COLUMNS} are read; leave out what is"
            " not about the person or the company",
            code="leads.csv.too_wide",
        )
