"""Leads as files: CSV for spreadsheets, JSON, and JSON a line for programs."""

import csv
import io
from collections.abc import Sequence

import msgspec

from leadflood.contracts.csv_safety import neutral
from leadflood.contracts.values import FieldName
from leadflood.domain.overview.schemas import ExportedLead, ExportFormat, LeadSummary

HEADERS = tuple(field.encode_name for field in msgspec.structs.fields(ExportedLead))
BOM = b"\xef\xbb\xbf"
TAGS_BETWEEN = ", "


class Writer:
    """Turns leads into the pieces of one file: the beginning, any number of parts, the end."""

    def __init__(self, form: ExportFormat, *, has_bom: bool = False) -> None:
        self._form = form
        self._has_bom = has_bom
        self._is_first = True

    def begin(self) -> bytes:
        """Give what stands before the first lead."""
        if self._form is ExportFormat.CSV:
            return (BOM if self._has_bom else b"") + _lines([HEADERS])
        return b"[" if self._form is ExportFormat.JSON else b""

    def add(self, leads: Sequence[LeadSummary]) -> bytes:
        """Give some leads."""
        rows = [exported(lead) for lead in leads]
        if self._form is ExportFormat.CSV:
            return _lines(
                [[_cell(value) for value in msgspec.structs.astuple(row)] for row in rows]
            )
        texts = [msgspec.json.encode(row) for row in rows]
        if self._form is ExportFormat.NDJSON:
            return b"".join(text + b"\n" for text in texts)
        between = b"\n" if self._is_first else b",\n"
        self._is_first = self._is_first and not texts
        return between + b",\n".join(texts) if texts else b""

    def end(self) -> bytes:
        """Give what stands behind the last lead."""
        return b"\n]\n" if self._form is ExportFormat.JSON else b""


def exported(lead: LeadSummary) -> ExportedLead:
    """Flatten a lead."""
    values = {field: str(value) for field, value in lead.values.items()}
    return ExportedLead(
        id=lead.id, status=lead.status, failed_code=lead.failed_code,
        full_name=values.get(FieldName.FULL_NAME), title=values.get(FieldName.TITLE),
        email=values.get(FieldName.EMAIL), company_name=values.get(FieldName.COMPANY_NAME),
        company_domain=values.get(FieldName.COMPANY_DOMAIN), country=values.get(FieldName.COUNTRY),
        score=lead.score, band=lead.band, icp_id=lead.icp_id, run_id=lead.run_id,
        scored_at=lead.scored_at, source=lead.source, owner=lead.owner, tags=lead.tags,
        created_at=lead.created_at, updated_at=lead.updated_at,
    )  # fmt: skip


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return neutral(TAGS_BETWEEN.join(value))
    if isinstance(value, str):
        return neutral(value)
    return str(msgspec.to_builtins(value))
