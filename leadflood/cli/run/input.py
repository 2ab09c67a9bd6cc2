"""Input of `leadflood run`: the CSV and the ICP, and how the CSV was understood."""

from pathlib import Path
from typing import Any

import msgspec

from leadflood.cli.console import print_message
from leadflood.cli.run.csv_file import write_csv_file
from leadflood.domain.icp.schemas import IcpInput
from leadflood.domain.icp.service.icp_file import read_icp_file
from leadflood.domain.imports.schemas.columns import ColumnChoice
from leadflood.domain.imports.schemas.rows import BAD_ROWS_HEADERS, ReadCsv
from leadflood.domain.imports.service.command_imports import read_file
from leadflood.engine.errors import Invalid

MAX_INPUT_BYTES = 500_000_000
MAX_EXAMPLES = 5
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class RunInput(msgspec.Struct, frozen=True):
    """A file as it was understood, and the ICP to score by."""

    icp: IcpInput
    csv: ReadCsv

    def summary(self) -> dict[str, Any]:
        """Return how the file was understood, for scripts."""
        csv = self.csv
        return {
            "encoding": csv.encoding,
            "delimiter": csv.delimiter,
            "sheet": csv.sheet,
            "skippedLines": len(csv.skipped_lines),
            "columns": {
                column.name: field for column, field in zip(csv.columns, csv.fields, strict=True)
            },
            "subject": csv.subject,
            "warnings": csv.warnings,
            "rows": len(csv.rows),
            "badRows": len(csv.bad),
            "optedOut": csv.opted_out_count,
            "unreadConsentColumns": csv.unread_consent,
            "notes": csv.notes,
        }


def read_input(icp: Path, file: Path, choice: ColumnChoice, sheet: str | None) -> RunInput:
    """Read both files. Raises: Invalid with the file and the fix."""
    return RunInput(read_icp_file(icp), _read_csv_file(file, choice, sheet))


def _read_csv_file(file: Path, choice: ColumnChoice, sheet: str | None) -> ReadCsv:
    try:
        with file.open("rb") as handle:
            raw = handle.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise Invalid(
            f"--input: cannot read {file} ({error.strerror or error}): give the path of a table",
            code="run.input.unreadable",
        ) from error
    if len(raw) > MAX_INPUT_BYTES:
        raise Invalid(
            f"--input: {file} is larger than {MAX_INPUT_BYTES // 1_000_000} MB: split it",
            code="run.input.too_large",
        )
    try:
        return read_file(raw, choice, sheet)
    except Invalid as error:
        raise Invalid(
            f"--input: {file}: {error.detail}", error.fields, code=error.error_code
        ) from error


def show_input(file: Path, run_input: RunInput) -> None:
    """Show how the file was understood, before anything is done with it."""
    csv = run_input.csv
    print_message(f"input:   {file}: {csv.encoding}, {_describe_form(csv)}")
    for line in csv.skipped_lines[:MAX_EXAMPLES]:
        print_message(f"skipped: {line[:100]!r} stands before the header")
    print_message(f"columns: {', '.join(_understood_columns(csv))}")
    pairs = zip(csv.columns, csv.fields, strict=True)
    if unread := [column.name for column, field in pairs if field is None]:
        print_message(f"         kept, but not read: {', '.join(unread)}")
    for warning in csv.warnings:
        print_message(f"warning: {warning}")
    for summary in csv.notes:
        print_message(f"cells:   {summary.text}")
    for name in csv.unread_consent:
        print_message(f"warning: column {name!r} speaks of consent and is not read")
    if csv.opted_out_count:
        print_message(f"consent: {csv.opted_out_count} rows say no: whom they name is suppressed")
    _show_ignored_cells(csv)
    print_message(f"rows:    {len(csv.rows)} can be used, {len(csv.bad)} cannot")
    for bad in csv.bad[:MAX_EXAMPLES]:
        print_message(f"line {bad.number}: {bad.reason}")
    print_message(f"ICP:     {run_input.icp.name}")


def _describe_form(csv: ReadCsv) -> str:
    if csv.sheet is not None:
        return f"sheet {csv.sheet!r}"
    return f"cells separated by {_DELIMITERS.get(csv.delimiter, repr(csv.delimiter))}"


def _show_ignored_cells(csv: ReadCsv) -> None:
    rows = [row for row in csv.rows if row.notes]
    for row in rows[:MAX_EXAMPLES]:
        print_message(f"line {row.number}: {'; '.join(row.notes)}")
    if len(rows) > MAX_EXAMPLES:
        count = len(rows) - MAX_EXAMPLES
        print_message(f"         and {count} more rows with a note")


def _understood_columns(csv: ReadCsv) -> list[str]:
    return [
        f"{column.name} = {field.value}"
        for column, field in zip(csv.columns, csv.fields, strict=True)
        if field is not None
    ]


def write_bad_rows(output: Path, run_input: RunInput) -> Path | None:
    """Write the rows that cannot be used beside the output, each with its reason."""
    path = output.with_name(output.name + ".bad.csv")
    bad = run_input.csv.bad
    if not bad:
        path.unlink(missing_ok=True)
        return None
    headers = [column.header for column in run_input.csv.columns]
    rows = [[str(row.number), row.reason, *row.raw] for row in bad]
    write_csv_file(path, [[*BAD_ROWS_HEADERS, *headers], *rows])
    print_message(f"bad:     {path}: {len(bad)} rows with their reasons")
    return path
