"""CSV files as we write them: whole or not at all, and nothing in them starts a formula."""

import csv
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from leadflood.contracts.csv_safety import neutral
from leadflood.engine.errors import Invalid


def write_cells(path: Path, rows: Iterable[Sequence[str]]) -> int:
    """Write a file beside its place and move it there; tell how many rows.

    Raises: Invalid when the place cannot be written.
    """
    count = 0
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
                writer = csv.writer(file)
                for row in rows:
                    writer.writerow([neutral(cell) for cell in row])
                    count += 1
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Invalid(
            f"cannot write {path} ({error.strerror or error}): choose another place",
            code="run.output.unwritable",
        ) from error
    return count
