"""Leads as files: CSV for spreadsheets, JSON, and JSON a line for programs. Pure."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec

from leadflood.contracts.csv_safety import neutral
from leadflood.contracts.values import FieldName
from leadflood.domain.lead_views.schemas import ExportedLead, ExportFormat, LeadSummary

HEADERS = tuple(field.encode_name for field in msgspec.structs.fields(ExportedLead))
BOM = b"\xef\xbb\xbf"
TAG_SEPARATOR = ", "
_COLUMNS = (
    FieldName.FULL_NAME,
    FieldName.TITLE,
    FieldName.EMAIL,
    FieldName.COMPANY_NAME,
    FieldName.COMPANY_DOMAIN,
    FieldName.COUNTRY,
)


class ExportFile:
    """Turns leads into the pieces of one file: the beginning, any number of parts, the end."""

    def __init__(self, export_format: ExportFormat, *, has_bom: bool = False) -> None:
        self._format = export_format
        self._has_bom = has_bom
        self._is_first = True

    def begin(self) -> bytes:
        """Return what stands before the first lead."""
        if self._format is ExportFormat.CSV:
            return (BOM if self._has_bom else b"") + _csv_lines([HEADERS])
        return b"[" if self._format is ExportFormat.JSON else b""

    def add(self, leads: Sequence[LeadSummary]) -> bytes:
        """Return a part with these leads."""
        rows = [flatten(lead) for lead in leads]
        if self._format is ExportFormat.CSV:
            return _csv_lines(
                [[_cell(value) for value in msgspec.structs.astuple(row)] for row in rows]
            )
        texts = [msgspec.json.encode(row) for row in rows]
        if self._format is ExportFormat.NDJSON:
            return b"".join(text + b"\n" for text in texts)
        separator = b"\n" if self._is_first else b",\n"
        self._is_first = self._is_first and not texts
        return separator + b",\n".join(texts) if texts else b""

    def end(self) -> bytes:
        """Return what stands behind the last lead."""
        return b"\n]\n" if self._format is ExportFormat.JSON else b""


def flatten(lead: LeadSummary) -> ExportedLead:
    """Return a lead with its values as columns."""
    values: dict[str, Any] = {
        name: getattr(lead, name) for name in ExportedLead.__struct_fields__ if name not in _COLUMNS
    }
    for field in _COLUMNS:
        value = lead.values.get(field)
        values[field.value] = None if value is None else str(value)
    return ExportedLead(**values)


def _csv_lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return neutral(TAG_SEPARATOR.join(value))
    if isinstance(value, str):
        return neutral(value)
    return str(msgspec.to_builtins(value))
