"""CSV reader: bytes in, records out, piece by piece, with flat memory.

Encoding, delimiter and header are detected; what stands around the table is named and kept.
"""

import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from leadflood.contracts.normalization.text import clean_text
from leadflood.domain.imports.rules.csv_records import Dialect, read_records, require_rows
from leadflood.domain.imports.rules.csv_sniffer import SAMPLE_ROWS, sniff
from leadflood.domain.imports.rules.encoding import detect_encoding
from leadflood.domain.imports.rules.table_parts import name_parts
from leadflood.domain.imports.schemas.records import Record
from leadflood.engine.errors import Invalid

MAX_COLUMNS = 500


class CsvFormat(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is written.

    - `encoding`, `delimiter`: of a text; of a workbook its kind, and none.
    - `sheet`, `sheets`: the sheet of a workbook that is read, and the names of all; None: it is
      no workbook.
    - `warnings`: what was guessed and may be wrong.
    """

    encoding: str
    delimiter: str
    sheet: str | None = None
    sheets: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class CsvFile(msgspec.Struct, frozen=True, kw_only=True):
    """An open file.

    - `format`: how it is written.
    - `headers`: its header row; all empty: it has none, and the first row is a record.
    - `skipped_lines`: the lines before the header.
    - `sample`: the first records, those that are sound.
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
    text = io.TextIOWrapper(file, encoding.codec, "replace", newline="")
    try:
        sniffed = sniff(text)
        records = read_records(text, sniffed.dialect, sniffed.first_line)
        format_ = CsvFormat(
            encoding=encoding.name,
            delimiter=sniffed.dialect.delimiter,
            warnings=encoding.warnings,
        )
        yield open_table(records, sniffed.dialect, format_)
    finally:
        text.detach()


def open_table(records: Iterator[Record], dialect: Dialect, format_: CsvFormat) -> CsvFile:
    """Read rows to their header, and open those that follow it. Raises: Invalid."""
    _require_narrow(dialect.width)
    before = []
    headers = ("",) * dialect.width
    if dialect.header_line:
        for record in records:
            if record.number >= dialect.header_line:
                headers = tuple(clean_text(cell.strip('" ')) for cell in record.cells)
                break
            before.append(record)
    _require_narrow(len(headers))
    named = name_parts(records, headers)
    sample = tuple(itertools.islice(named, SAMPLE_ROWS))
    headers += ("",) * _count_empty_behind(sample, len(headers))
    if not dialect.header_line:
        require_rows(sample)
    return CsvFile(
        format=format_,
        headers=headers,
        skipped_lines=tuple((format_.delimiter or ",").join(record.cells) for record in before),
        sample=tuple(record for record in sample if record.problem is None),
        records=itertools.chain(sample, named),
    )


def _count_empty_behind(sample: Sequence[Record], width: int) -> int:
    """Return how many empty cells most rows have behind those of the header."""
    surplus = [len(record.cells) - width for record in sample if not any(record.cells[width:])]
    usual = Counter(surplus).most_common(1)[0][0] if surplus else 0
    return max(usual, 0) if 2 * len(surplus) > len(sample) else 0


def _require_narrow(column_count: int) -> None:
    if column_count > MAX_COLUMNS:
        raise Invalid(
            f"the file has {column_count:,} columns: up to {MAX_COLUMNS} are read; leave out what"
            " is not about the person or the company",
            code="leads.csv.too_wide",
        )
