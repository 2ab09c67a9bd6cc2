"""Dry run: what would become of the rows of a file, counted without keeping it."""

from collections import Counter
from collections.abc import Iterable, Sequence

from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.consent import says_no
from leadflood.domain.imports.rules.consent_check import warn_of_many, warn_of_unread
from leadflood.domain.imports.rules.row_notes import count_notes, summarize_notes
from leadflood.domain.imports.rules.row_outcomes import FOREIGN_LEAD, NOT_READ
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.notes import NoteCount
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, RowResult, RowState, RowView
from leadflood.domain.imports.schemas.views import (
    ImportPreview,
    ImportView,
    PreviewCounts,
    PreviewRow,
)

SHOWN_BAD_ROWS = 20
SHOWN_ROWS = 10
_SAMPLE = "only the first {:,} rows were looked at: the import reads them all"
_OTHERS = (
    "a row whose person is a lead of somebody else is refused when the import runs: a preview does"
    " not tell which"
)


class DryRun:
    """A dry run of one import: `add` its rows part by part, with what becomes of them.

    `row_count`: how many there were so far.
    """

    def __init__(self, plan: ImportPlan) -> None:
        self._plan = plan
        self._bad_rows: list[RowView] = []
        self._sample: list[PreviewRow] = []
        self._counts: Counter[RowState] = Counter()
        self._notes: tuple[NoteCount, ...] = ()
        self._named: set[object] = set()
        self.row_count = 0
        self._opted_out_count = 0

    def add(self, rows: Sequence[ImportRow | BadRow], results: Iterable[RowResult]) -> None:
        """Count what becomes of rows; `results` are those of the rows that can be used."""
        by_number = {result.number: result for result in results}
        self.row_count += len(rows)
        self._opted_out_count += sum(map(says_no, rows))
        self._notes = count_notes(self._notes, [row for row in rows if isinstance(row, ImportRow)])
        for row in rows:
            if isinstance(row, BadRow):
                self._add_bad(row.number, row.reason, row.raw)
            else:
                self._add(row, self._hide(row, by_number[row.number]))

    def _hide(self, row: ImportRow, result: RowResult) -> RowResult:
        """Return what a row of somebody else's lead looks like to who may not know of it."""
        if not self._plan.visibility.is_limited:
            return result
        keys = {row.values.get(FieldName.EMAIL), row.values.get(FieldName.LINKEDIN_URL)} - {None}
        is_repeated = bool(keys & self._named)
        self._named |= keys
        if result.reason not in {FOREIGN_LEAD, NOT_READ}:
            return result
        outcome = RowState.DUPLICATE if is_repeated else RowState.CREATED
        return RowResult(number=row.number, outcome=outcome)

    def _add(self, row: ImportRow, result: RowResult) -> None:
        if result.outcome is RowState.BAD:
            self._add_bad(row.number, result.reason or "", row.raw)
            return
        self._counts[result.outcome] += 1
        if len(self._sample) < SHOWN_ROWS:
            is_known = result.outcome in {RowState.UPDATED, RowState.SKIPPED}
            self._sample.append(
                PreviewRow(
                    number=row.number,
                    outcome=result.outcome,
                    lead_id=result.lead_id if is_known else None,
                    reason=result.reason,
                    values=row.values,
                    notes=row.notes,
                    consent=tuple(statement.evidence for statement in row.consent),
                )
            )

    def _add_bad(self, number: int, reason: str, raw: tuple[str, ...]) -> None:
        self._counts[RowState.BAD] += 1
        if len(self._bad_rows) < SHOWN_BAD_ROWS:
            self._bad_rows.append(
                RowView(number=number, state=RowState.BAD, lead_id=None, reason=reason, cells=raw)
            )

    def summarize(self, view: ImportView, broken: Sequence[RowView]) -> ImportPreview:
        """Return the preview; `broken` are the rows whose syntax is broken in the file itself."""
        bad_count = self._counts[RowState.BAD] + view.counts.bad
        row_count = self.row_count + view.counts.bad
        bad_rows = sorted([*self._bad_rows, *broken], key=lambda row: row.number)
        updated, skipped = self._counts[RowState.UPDATED], self._counts[RowState.SKIPPED]
        return ImportPreview(
            row_count=view.row_count,
            looked_at=row_count,
            is_sample=row_count < view.row_count,
            counts=PreviewCounts(
                new=self._counts[RowState.CREATED],
                already_known=updated + skipped,
                updated=updated,
                skipped=skipped,
                duplicate_in_file=self._counts[RowState.DUPLICATE],
                bad=bad_count,
                opted_out=self._opted_out_count,
            ),
            bad_rows=tuple(bad_rows[:SHOWN_BAD_ROWS]),
            sample=tuple(self._sample),
            notes=summarize_notes(self._notes, view.columns, self._plan.fields),
            warnings=(
                *([_SAMPLE.format(row_count)] if row_count < view.row_count else []),
                *([_OTHERS] if self._plan.visibility.is_limited else []),
                *warn_of_unread(view.unread_consent_columns),
                *warn_of_many(self._opted_out_count, self.row_count),
            ),
        )
