"""CSV as we write it: nothing in it starts a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

from leadflood.contracts.csv_safety import neutral


def write_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Write rows as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([neutral(cell) for cell in row])
    return text.getvalue().encode("utf-8", "replace")
