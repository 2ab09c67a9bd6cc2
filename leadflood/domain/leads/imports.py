"""A CSV file of people or companies, read whatever it looks like: bytes in, rows and reasons out.

Encoding and delimiter are detected, notes before the header are skipped and shown, columns are
matched to fields, and each row that cannot be used is told with the reason. A row of a company
without a person is a lead known by the company's domain.
"""

import codecs
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from charset_normalizer import from_bytes

from leadflood.contracts.facts import Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.canon import (
    canonical,
    canonical_email,
    canonical_phone,
    clean_text,
)
from leadflood.domain.leads.headers import field_of, match_headers
from leadflood.domain.leads.schemas import BadRow, HeaderMatch, ImportRow, ReadCsv
from leadflood.engine.errors import Invalid

DELIMITERS = (",", ";", "\t", "|")
MAX_CELL = 10_000_000
_HEADER_WITHIN = 30
_SAMPLE = 60
_DETECT_BYTES = 200_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OLD_ENCODINGS = ["cp1252", "cp1250", "cp1251", "cp932", "gb18030", "big5", "euc_kr", "mac_roman"]
_WHO = (
    "nothing tells who this is: an e-mail, a LinkedIn address, a name with a company, "
    "or a company's domain is needed"
)
_STATUS_WORDS = {
    "verified": "valid",
    "deliverable": "valid",
    "ok": "valid",
    "accept all": "catch_all",
    "catch all": "catch_all",
    "catch-all": "catch_all",
    "unverified": "unknown",
    "likely to engage": "unknown",
    "guessed": "unknown",
    "undeliverable": "invalid",
    "bounced": "invalid",
}

csv.field_size_limit(MAX_CELL)


class _Record(msgspec.Struct, frozen=True):
    """A row as it stands; `problem` when its syntax is broken."""

    number: int
    cells: tuple[str, ...]
    problem: str | None = None


def read_csv(raw: bytes) -> ReadCsv:
    """Read a file.

    Raises: Invalid where it is no CSV at all, or has no column that is understood.
    """
    text, encoding = decode(raw)
    delimiter, text, hinted = _split_hint(text)
    delimiter = delimiter or find_delimiter(text)
    records = list(_records(text, delimiter, 1 + hinted))
    if not records:
        raise Invalid("the file is empty: it needs a header line and rows", code="leads.csv.empty")
    place = _find_header(records)
    headers = tuple(clean_text(cell) for cell in records[place].cells)
    body = records[place + 1 :]
    fields = match_headers(headers, [record.cells for record in body[:_SAMPLE]])
    rows: list[ImportRow] = []
    bad: list[BadRow] = []
    for record in body:
        read = _read_row(record, fields)
        if isinstance(read, ImportRow):
            rows.append(read)
        else:
            bad.append(BadRow(number=record.number, reason=read, raw=record.cells))
    return ReadCsv(
        rows=tuple(rows),
        bad=tuple(bad),
        mapping=tuple(HeaderMatch(*pair) for pair in zip(headers, fields, strict=True)),
        encoding=encoding,
        delimiter=delimiter,
        skipped_lines=tuple(delimiter.join(record.cells) for record in records[:place]),
        sha256=hashlib.sha256(raw).digest(),
    )


def decode(raw: bytes) -> tuple[str, str]:
    """Tell the text and the encoding it was in. Raises: Invalid for a workbook or the like."""
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Invalid(
            "this is an Excel workbook, not a CSV: save it as CSV UTF-8 first",
            code="leads.csv.workbook",
        )
    encoding = _encoding_of(raw)
    text = raw.decode(encoding, "replace").removeprefix("\ufeff")
    return text.replace("\x00", ""), encoding


def find_delimiter(text: str) -> str:
    """Tell what separates cells: what makes headers known, then what makes rows alike."""
    start = text[:_DETECT_BYTES]

    def merit(delimiter: str) -> tuple[int, float, int]:
        widths: list[int] = []
        known = 0
        for record, _ in zip(_records(start, delimiter, 1), range(_SAMPLE), strict=False):
            widths.append(len(record.cells))
            known = max(known, _known_cells(record.cells))
        wide = [width for width in widths if width > 1]
        if not wide:
            return (known, 0.0, 0)
        usual, times = Counter(wide).most_common(1)[0]
        return (known, times / len(widths), usual)

    return max(DELIMITERS, key=merit)


def _encoding_of(raw: bytes) -> str:
    for bom, encoding in _BOMS:
        if raw.startswith(bom):
            return encoding
    head = raw[:4096]
    if head.count(0) > len(head) // 4:
        return "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        best = from_bytes(raw[:_DETECT_BYTES], cp_isolation=_OLD_ENCODINGS).best()
        if best is None or raw.decode("cp1252", "replace") == raw.decode(best.encoding, "replace"):
            return "cp1252"
        return best.encoding
    return "utf-8"


def _split_hint(text: str) -> tuple[str | None, str, int]:
    """Take off the line by which Excel names the delimiter (`sep=;`)."""
    line, newline, rest = text.partition("\n")
    hint = line.strip().casefold()
    if hint.startswith("sep=") and hint[4:5] in DELIMITERS:
        return hint[4], rest, 1 if newline else 0
    return None, text, 0


def _records(text: str, delimiter: str, first_line: int) -> Iterator[_Record]:
    """Tell the records that have anything in them; a quote never closed costs its line only."""
    lines = io.StringIO(text, newline="").readlines()
    at = 0
    while at < len(lines):
        reader = csv.reader(iter(lines[at:]), delimiter=delimiter)
        start, broken = at, None
        try:
            for cells in reader:
                end = at + reader.line_num
                if end == len(lines) and end - start > 1 and _is_open(lines[start:end], delimiter):
                    broken = "a quoted cell is opened and never closed"
                    break
                if any(cell.strip() for cell in cells):
                    yield _Record(first_line + start, tuple(cells))
                start = end
        except csv.Error as error:
            broken = f"this is no CSV: {error}"
        if broken is None:
            return
        yield _Record(first_line + start, (lines[start].rstrip("\r\n"),), broken)
        at = start + 1


def _is_open(lines: Sequence[str], delimiter: str) -> bool:
    try:
        list(csv.reader(iter(lines), delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "end of data" in str(error)
    return False


def _find_header(records: Sequence[_Record]) -> int:
    """Find the row with the most cells that are known headers, among the first ones."""
    within = records[:_HEADER_WITHIN]
    place = max(range(len(within)), key=lambda at: _known_cells(within[at].cells))
    if _known_cells(within[place].cells) == 0:
        seen = ", ".join(repr(cell[:40]) for cell in within[0].cells[:8])
        raise Invalid(
            f"no column is understood: the first row reads {seen}; name at least one column "
            "email, full_name, linkedin_url or company_domain",
            code="leads.csv.no_header",
        )
    return place


def _known_cells(cells: Sequence[str]) -> int:
    return sum(
        len(cell) < 60 and (field_of(cell) is not None or cell.strip().casefold() == "url")  # noqa: PLR2004 - headers are short
        for cell in cells
    )


def _read_row(record: _Record, fields: Sequence[FieldName | None]) -> ImportRow | str:
    """Turn a record into values, or tell why it cannot be used."""
    if record.problem is not None:
        return record.problem
    surplus = [cell for cell in record.cells[len(fields) :] if cell.strip()]
    if surplus:
        return (
            f"{len(record.cells)} cells where the header has {len(fields)}: "
            "put a cell that contains the delimiter in quotes"
        )
    given: dict[FieldName, str] = {}
    for field, cell in zip(fields, record.cells, strict=False):
        if field is not None and (text := clean_text(cell)):
            given.setdefault(field, text)
    email = given.get(FieldName.EMAIL)
    if email is not None and canonical_email(email) is None:
        return f"{email[:80]!r} is no e-mail address"
    values, notes = _understand(given)
    if not _tells_who(values):
        return _WHO
    return ImportRow(number=record.number, values=values, raw=record.cells, notes=tuple(notes))


def _understand(given: Mapping[FieldName, str]) -> tuple[dict[FieldName, Scalar], list[str]]:
    values: dict[FieldName, Scalar] = {}
    notes: list[str] = []
    region = canonical(FieldName.COUNTRY, given.get(FieldName.COUNTRY, ""))
    for field, text in given.items():
        value = _value(field, text, region if isinstance(region, str) else None)
        if value is None:
            notes.append(f"{field.value}: {text[:60]!r} is not understood")
        else:
            values[field] = value
    return values, notes


def _value(field: FieldName, text: str, region: str | None) -> Scalar | None:
    if field is FieldName.PHONE:
        return canonical_phone(text, region)
    if field is FieldName.COMPANY_TECHNOLOGIES:
        parts = text.replace(";", ",").replace("|", ",").split(",")
        return canonical(field, tuple(part.strip() for part in parts))
    if field is FieldName.EMAIL_STATUS:
        return canonical(field, _STATUS_WORDS.get(text.casefold(), text))
    if field is FieldName.COMPANY_FOUNDED:
        return int(text) if text.isascii() and text.isdigit() and len(text) == 4 else None  # noqa: PLR2004 - a year
    return canonical(field, text)


def _tells_who(values: Mapping[FieldName, Scalar]) -> bool:
    if {FieldName.EMAIL, FieldName.LINKEDIN_URL, FieldName.COMPANY_DOMAIN} & values.keys():
        return True
    named = FieldName.FULL_NAME in values or (
        FieldName.FIRST_NAME in values and FieldName.LAST_NAME in values
    )
    return named and FieldName.COMPANY_NAME in values
