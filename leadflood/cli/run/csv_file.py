"""CSV files on disk: written whole or not at all."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from leadflood.contracts.csv_safety import write_rows
from leadflood.engine.errors import Invalid

FILE_MODE = 0o644


def write_csv_file(path: Path, rows: Iterable[Sequence[str]]) -> int:
    """Write a file beside its destination and move it there; return the number of rows.

    Raises: Invalid when the destination cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
                count = write_rows(file, rows)
            temporary.chmod(FILE_MODE)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Invalid(
            f"cannot write {path} ({error.strerror or error}): choose another path",
            code="run.output.unwritable",
        ) from error
    return count
