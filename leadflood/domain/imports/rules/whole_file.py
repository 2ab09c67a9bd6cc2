"""Reading a file whole, for a command: its columns, its rows, and what cannot be used."""

import hashlib
import io

from leadflood.domain.imports.rules.consent import says_no
from leadflood.domain.imports.rules.consent_scan import ConsentScan, list_unread_consent
from leadflood.domain.imports.rules.file_columns import describe_columns
from leadflood.domain.imports.rules.mapping_check import map_columns, order_columns
from leadflood.domain.imports.rules.opt_in_noes import OptInNoes
from leadflood.domain.imports.rules.row_notes import count_notes, summarize_notes
from leadflood.domain.imports.rules.row_reader import RowReader
from leadflood.domain.imports.rules.table_file import headings_of, open_table_file
from leadflood.domain.imports.rules.unread_columns import UnreadColumns
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import Column, ColumnChoice
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, ReadCsv
from leadflood.engine.errors import FieldProblem, Invalid

_AS_GUESSED = ColumnChoice()


def read_csv(raw: bytes, choice: ColumnChoice = _AS_GUESSED, sheet: str | None = None) -> ReadCsv:
    """Read a file whole, with the fields that its columns are guessed to hold, but for a choice.

    `sheet` None: the first of a workbook with a table.
    Raises: Invalid when it is no table, or the choice names a column that it has not.
    """
    rows: list[ImportRow] = []
    bad_rows: list[BadRow] = []
    with open_table_file(io.BytesIO(raw), sheet) as file:
        described = describe_columns(file)
        unread = UnreadColumns(described)
        records = list(unread.watch(file.records))
        scan = ConsentScan(described.columns, headings_of(file))
        opt_ins = OptInNoes(described.columns)
        for record in opt_ins.watch(records):
            scan.look_at(record)
        columns = scan.describe()
        fields = _choose(columns, choice)
        reader = RowReader(_plan(columns, fields, choice), choice.currency)
        for record in records:
            row = reader.read(record)
            if isinstance(row, ImportRow):
                rows.append(row)
            else:
                bad_rows.append(row)
    return ReadCsv(
        rows=tuple(rows),
        bad=tuple(bad_rows),
        columns=columns,
        fields=fields,
        subject=choice.subject or described.subject,
        notes=summarize_notes(count_notes((), rows), columns, fields),
        warnings=(
            *file.format.warnings,
            *described.warnings,
            *unread.warnings(),
            *scan.warnings(),
            *opt_ins.warnings(choice.no_opt_in),
        ),
        encoding=file.format.encoding,
        delimiter=file.format.delimiter,
        sheet=file.format.sheet,
        sheets=file.format.sheets,
        skipped_lines=file.skipped_lines,
        opted_out_count=sum(map(says_no, rows)) + sum(map(says_no, bad_rows)),
        unread_consent=list_unread_consent(columns, fields, choice.ignored_consent),
        sha256=hashlib.sha256(raw).digest(),
    )


def _plan(
    columns: tuple[Column, ...], fields: tuple[ColumnField | None, ...], choice: ColumnChoice
) -> ImportPlan:
    return ImportPlan(
        fields=fields,
        headers=tuple(column.header for column in columns),
        order=order_columns(columns, fields),
        no_opt_in=choice.no_opt_in,
        source=choice.source,
    )


def _choose(columns: tuple[Column, ...], choice: ColumnChoice) -> tuple[ColumnField | None, ...]:
    problems: list[FieldProblem] = []
    guesses = map_columns(columns, None, choice.subject, problems)
    named = {column.name: guess for column, guess in zip(columns, guesses, strict=True)}
    problems += [
        FieldProblem(name, "the file has no such column")
        for name in choice.ignored_consent
        if name not in named
    ]
    fields = map_columns(columns, named | choice.changes, None, problems)
    if problems:
        raise Invalid.of(
            problems,
            prefix="the choice of columns does not fit the file",
            most_named=10,
            code="leads.import.mapping",
        )
    return fields
