"""Leads as files: CSV and XLSX for spreadsheets, JSON, and JSON a line for programs."""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from typing_extensions import override
from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped] # ships no types

from leadflood.contracts.csv_safety import neutral
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.lists import join_list
from leadflood.domain.lead_views.rules.export_columns import value_of
from leadflood.domain.lead_views.schemas import ExportedLead, ExportFormat, ExportOptions
from leadflood.engine.errors import Invalid

BOM = b"\xef\xbb\xbf"
MOST_SHEET_ROWS = 1_048_575
"""Rows of a sheet below its header."""
_MOST_CELL_CHARS = 32_767


class ExportFile(ABC):
    """A file of leads that is written part by part: `begin`, `add` as often as needed, `end`."""

    def __init__(self, target: BinaryIO, columns: Sequence[str]) -> None:
        self._target = target
        self._columns = columns

    @abstractmethod
    def begin(self) -> None:
        """Write what stands before the first lead."""

    @abstractmethod
    def add(self, leads: Sequence[ExportedLead]) -> None:
        """Write a part with these leads."""

    @abstractmethod
    def end(self) -> None:
        """Write what stands behind the last lead."""

    def discard(self) -> None:
        """Give back what an unfinished file holds beside its target."""
        return

    def _rows(self, leads: Sequence[ExportedLead]) -> list[list[Scalar | None]]:
        return [[value_of(lead, column) for column in self._columns] for lead in leads]


def begin_file(target: BinaryIO, options: ExportOptions) -> ExportFile:
    """Return an open file of leads; it is written to the target."""
    kinds: Mapping[ExportFormat, Callable[[BinaryIO, Sequence[str]], ExportFile]] = {
        ExportFormat.CSV: _CsvExport,
        ExportFormat.XLSX: _XlsxExport,
        ExportFormat.JSON: _JsonExport,
        ExportFormat.NDJSON: _JsonLinesExport,
    }
    if options.format is ExportFormat.CSV and options.has_bom:
        target.write(BOM)
    file = kinds[options.format](target, options.columns)
    file.begin()
    return file


class _CsvExport(ExportFile):
    @override
    def begin(self) -> None:
        self._write([list(self._columns)])

    @override
    def add(self, leads: Sequence[ExportedLead]) -> None:
        self._write([[neutral(_text(value)) for value in row] for row in self._rows(leads)])

    @override
    def end(self) -> None:
        pass

    def _write(self, rows: Sequence[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._target.write(text.getvalue().encode("utf-8", "replace"))


class _JsonLinesExport(ExportFile):
    @override
    def begin(self) -> None:
        pass

    @override
    def add(self, leads: Sequence[ExportedLead]) -> None:
        self._target.write(b"".join(line + b"\n" for line in self._encode(leads)))

    @override
    def end(self) -> None:
        pass

    def _encode(self, leads: Sequence[ExportedLead]) -> list[bytes]:
        rows = self._rows(leads)
        return [msgspec.json.encode(dict(zip(self._columns, row, strict=True))) for row in rows]


class _JsonExport(_JsonLinesExport):
    _separator = b"\n"

    @override
    def begin(self) -> None:
        self._target.write(b"[")

    @override
    def add(self, leads: Sequence[ExportedLead]) -> None:
        for line in self._encode(leads):
            self._target.write(self._separator + line)
            self._separator = b",\n"

    @override
    def end(self) -> None:
        self._target.write(b"\n]\n")


class _XlsxExport(ExportFile):
    """A workbook: a text is a cell of text, whatever it looks like, so that none is a formula."""

    @override
    def begin(self) -> None:
        self._book = Workbook(self._target, {"constant_memory": True})
        self._sheet = self._book.add_worksheet("leads")
        self._sheet.freeze_panes(1, 0)
        self._row_count = 0
        for at, column in enumerate(self._columns):
            self._sheet.write_string(0, at, column)

    @override
    def add(self, leads: Sequence[ExportedLead]) -> None:
        for row in self._rows(leads):
            self._row_count += 1
            if self._row_count > MOST_SHEET_ROWS:
                raise _unfit(f"more than {MOST_SHEET_ROWS:,} leads")
            for at, value in enumerate(row):
                self._write_cell(at, value)

    def _write_cell(self, at: int, value: Scalar | None) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._sheet.write_number(self._row_count, at, value)
            return
        text = _text(value)
        if len(text) > _MOST_CELL_CHARS:
            raise _unfit(f"a {self._columns[at]} of more than {_MOST_CELL_CHARS:,} characters")
        if text:
            self._sheet.write_string(self._row_count, at, text)

    @override
    def end(self) -> None:
        self._book.close()

    @override
    def discard(self) -> None:
        self._sheet.row_data_fh.close()
        Path(self._sheet.row_data_filename).unlink(missing_ok=True)


def _unfit(what: str) -> Invalid:
    return Invalid(
        f"no sheet holds {what}: export as csv, or fewer at a time", code="leads.export.sheet"
    )


def _text(value: Scalar | None) -> str:
    if value is None:
        return ""
    return join_list(value) if isinstance(value, tuple) else str(msgspec.to_builtins(value))
