"""Row notes: kept with each row's outcome, and counted by column."""

from collections.abc import Iterable, Sequence

import msgspec

from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import Column
from leadflood.domain.imports.schemas.notes import NoteCount, NoteSummary
from leadflood.domain.imports.schemas.rows import ImportRow, RowResult

MOST_EXAMPLES = 3
ROW = "row"
"""What notes about a row as a whole begin with."""
_NOT_UNDERSTOOD = " is not understood"

_Key = tuple[str, bool]


def add_notes(results: Iterable[RowResult], rows: Iterable[ImportRow]) -> list[RowResult]:
    """Return the outcomes of rows with the notes of these before their own."""
    notes = {row.number: row.notes for row in rows if row.notes}
    return [
        msgspec.structs.replace(result, notes=(*notes[result.number], *result.notes))
        if result.number in notes
        else result
        for result in results
    ]


def count_notes(before: Sequence[NoteCount], rows: Iterable[ImportRow]) -> tuple[NoteCount, ...]:
    """Return the notes counted so far with those of further rows."""
    filled = {count.field: count.filled for count in before}
    counts: dict[_Key, int] = {(each.field, each.is_left_out): each.count for each in before}
    examples = {(each.field, each.is_left_out): list(each.examples) for each in before}
    for row in rows:
        noted: dict[_Key, list[str]] = {}
        for note in row.notes:
            field, _, text = note.partition(": ")
            noted.setdefault((field, field not in row.values), []).append(text)
        for field in {*row.values, *(field for field, _ in noted)}:
            filled[field] = filled.get(field, 0) + 1
        for key, texts in noted.items():
            counts[key] = counts.get(key, 0) + 1
            shown = examples.setdefault(key, [])
            shown += [text for text in texts if text not in shown][: MOST_EXAMPLES - len(shown)]
    return tuple(
        NoteCount(
            field=field,
            is_left_out=is_left_out,
            count=count,
            filled=filled[field],
            examples=tuple(examples[field, is_left_out]),
        )
        for (field, is_left_out), count in counts.items()
    )


def summarize_notes(
    counts: Iterable[NoteCount],
    columns: Sequence[Column],
    fields: Sequence[ColumnField | None],
) -> tuple[NoteSummary, ...]:
    """Return the notes of a file by the columns that hold their fields, the most first."""
    summaries = []
    for count in sorted(counts, key=lambda count: (-count.count, count.field)):
        names = tuple(
            column.name
            for column, field in zip(columns, fields, strict=False)
            if field == count.field
        )
        summaries.append(
            NoteSummary(
                field=count.field,
                columns=names,
                is_left_out=count.is_left_out,
                count=count.count,
                of=count.filled,
                examples=count.examples,
                text=_describe(count),
            )
        )
    return tuple(summaries)


def _describe(count: NoteCount) -> str:
    examples = ", ".join(text.removesuffix(_NOT_UNDERSTOOD) for text in count.examples)
    if count.field == ROW:
        return f"{count.count:,} rows have fewer or more cells than the header, such as {examples}"
    what = "not understood" if count.is_left_out else "kept with a note"
    return f"{count.field}: {count.count:,} of {count.filled:,} {what}, such as {examples}"
