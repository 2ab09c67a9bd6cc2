"""What `leadflood run` reads: the CSV and the ICP, and how the CSV was understood."""

from pathlib import Path
from typing import Any

import msgspec

from leadflood.cli.console import say
from leadflood.cli.run.csv_file import write_cells
from leadflood.domain.icp.file import read_icp_file
from leadflood.domain.icp.schemas import IcpInput
from leadflood.domain.leads.imports import read_csv
from leadflood.domain.leads.schemas import ReadCsv
from leadflood.engine.errors import Invalid

MOST_INPUT_BYTES = 500_000_000
SHOWN = 5
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class Given(msgspec.Struct, frozen=True):
    """A file as it was understood, and the ICP to score by."""

    icp: IcpInput
    read: ReadCsv

    def summary(self) -> dict[str, Any]:
        """Tell how the file was understood, for scripts."""
        read = self.read
        return {
            "encoding": read.encoding,
            "delimiter": read.delimiter,
            "skippedLines": len(read.skipped_lines),
            "columns": {match.header: match.field for match in read.mapping},
            "rows": len(read.rows),
            "badRows": len(read.bad),
        }


def read_input(icp: Path, file: Path) -> Given:
    """Read both files. Raises: Invalid naming the file and the fix."""
    return Given(read_icp_file(icp), _read_csv_file(file))


def _read_csv_file(file: Path) -> ReadCsv:
    try:
        with file.open("rb") as opened:
            raw = opened.read(MOST_INPUT_BYTES + 1)
    except OSError as error:
        raise Invalid(
            f"--input: cannot read {file} ({error.strerror or error}): give the path of a CSV file",
            code="run.input.unreadable",
        ) from error
    if len(raw) > MOST_INPUT_BYTES:
        raise Invalid(
            f"--input: {file} is larger than {MOST_INPUT_BYTES // 1_000_000} MB: split it",
            code="run.input.too_large",
        )
    try:
        return read_csv(raw)
    except Invalid as error:
        raise Invalid(
            f"--input: {file}: {error.detail}", error.fields, code=error.error_code
        ) from error


def show_input(file: Path, given: Given) -> None:
    """Show how the file was understood, before anything is done with it."""
    read = given.read
    delimiter = _DELIMITERS.get(read.delimiter, repr(read.delimiter))
    say(f"input:   {file}: {read.encoding}, cells parted by {delimiter}")
    for line in read.skipped_lines[:SHOWN]:
        say(f"skipped: {line[:100]!r} stands before the header")
    say("columns: " + ", ".join(_known(read)))
    if unknown := [match.header or "(no name)" for match in read.mapping if match.field is None]:
        say(f"         kept, but not understood: {', '.join(unknown)}")
    noted = [row for row in read.rows if row.notes]
    for row in noted[:SHOWN]:
        say(f"line {row.number}: {'; '.join(row.notes)}: left out")
    if len(noted) > SHOWN:
        say(f"         and {len(noted) - SHOWN} more rows with a cell that was left out")
    say(f"rows:    {len(read.rows)} can be used, {len(read.bad)} cannot")
    for bad in read.bad[:SHOWN]:
        say(f"line {bad.number}: {bad.reason}")
    say(f"ICP:     {given.icp.name}")


def _known(read: ReadCsv) -> list[str]:
    known = [match for match in read.mapping if match.field is not None]
    return [f"{match.header} = {match.field.value}" for match in known if match.field is not None]


def write_bad_rows(output: Path, given: Given) -> Path | None:
    """Write the rows that cannot be used beside the output, each with its reason."""
    path = output.with_name(output.name + ".bad.csv")
    bad = given.read.bad
    if not bad:
        path.unlink(missing_ok=True)
        return None
    headers = [match.header for match in given.read.mapping]
    rows = [[str(row.number), row.reason, *row.raw] for row in bad]
    write_cells(path, [["line", "reason", *headers], *rows])
    say(f"bad:     {path}: {len(bad)} rows with their reasons")
    return path
