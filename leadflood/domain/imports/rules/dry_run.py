"""Dry run: what would become of the rows of a file, counted without writing."""

from collections.abc import Mapping, Sequence

from leadflood.domain.imports.rules.row_outcomes import reject_row
from leadflood.domain.imports.rules.row_parser import parse_row
from leadflood.domain.imports.rules.row_values import IDENTIFYING_FIELDS
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, LeadOwner, RowState, RowView
from leadflood.domain.imports.schemas.views import (
    ImportPreview,
    ImportView,
    PreviewCounts,
    PreviewRow,
)
from leadflood.domain.leads.schemas.identity import IdentityKey

SHOWN_BAD_ROWS = 20
SHOWN_ROWS = 10

KeyedRow = tuple[ImportRow, frozenset[IdentityKey]]
"""A row and the keys that say who it is."""


class DryRun:
    """A dry run of one import: `parse` a part of the rows, then `count` it.

    The first rows are parsed whole, to be shown; the others only as far as their identity needs.
    """

    def __init__(self, plan: ImportPlan) -> None:
        self._plan = plan
        self._key_fields = tuple(
            field if field and field.value_field in IDENTIFYING_FIELDS else None
            for field in plan.fields
        )
        self._key_hashes: set[int] = set()
        self._bad_rows: list[RowView] = []
        self._sample: list[PreviewRow] = []
        self._counts = {"new": 0, "already_known": 0, "duplicate_in_file": 0, "bad": 0}
        self.row_count = 0

    def parse(self, records: Sequence[Record]) -> list[ImportRow]:
        """Parse rows and return those that can be used."""
        rows: list[ImportRow] = []
        for record in records:
            is_shown = len(self._sample) + len(rows) < SHOWN_ROWS
            fields = self._plan.fields if is_shown else self._key_fields
            row = parse_row(record, fields, self._plan.defaults, self._plan.order)
            self.row_count += 1
            if isinstance(row, ImportRow):
                rows.append(row)
            else:
                self._add_bad(row)
        return rows

    def count(self, keyed: Sequence[KeyedRow], owners: Mapping[IdentityKey, LeadOwner]) -> None:
        """Count what would become of rows; `owners` are the leads that their keys name now."""
        for row, keys in keyed:
            hashes = {hash(key) for key in keys}
            leads = [owners[key] for key in sorted(keys) if key in owners]
            is_repeated = bool(hashes & self._key_hashes)
            self._key_hashes |= hashes
            rejected = None if is_repeated else reject_row(row.number, leads, self._plan)
            if rejected is not None and rejected.outcome is RowState.BAD:
                self._add_bad(BadRow(number=row.number, reason=rejected.reason or "", raw=row.raw))
            elif is_repeated:
                self._add("duplicate_in_file", row, RowState.DUPLICATE, leads)
            elif leads:
                outcome = RowState.SKIPPED if rejected else RowState.UPDATED
                self._add("already_known", row, outcome, leads)
            else:
                self._add("new", row, RowState.CREATED, leads)

    def _add(
        self, count: str, row: ImportRow, outcome: RowState, leads: Sequence[LeadOwner]
    ) -> None:
        self._counts[count] += 1
        if len(self._sample) < SHOWN_ROWS:
            self._sample.append(
                PreviewRow(
                    number=row.number,
                    outcome=outcome,
                    lead_id=leads[0].lead_id if leads else None,
                    values=row.values,
                    notes=row.notes,
                )
            )

    def _add_bad(self, row: BadRow) -> None:
        self._counts["bad"] += 1
        if len(self._bad_rows) < SHOWN_BAD_ROWS:
            self._bad_rows.append(
                RowView(
                    number=row.number,
                    state=RowState.BAD,
                    lead_id=None,
                    reason=row.reason,
                    cells=row.raw,
                )
            )

    def summarize(self, view: ImportView, broken: Sequence[RowView]) -> ImportPreview:
        """Return the preview; `broken` are the rows whose syntax is broken in the file itself."""
        self._counts["bad"] += view.counts.bad
        row_count = self.row_count + view.counts.bad
        bad_rows = sorted([*self._bad_rows, *broken], key=lambda row: row.number)
        return ImportPreview(
            row_count=view.row_count,
            looked_at=row_count,
            is_sample=row_count < view.row_count,
            counts=PreviewCounts(**self._counts),
            bad_rows=tuple(bad_rows[:SHOWN_BAD_ROWS]),
            sample=tuple(self._sample),
        )
