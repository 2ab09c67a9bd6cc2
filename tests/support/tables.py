"""Tables of examples: files with a row for each example, under `tests/`."""

from pathlib import Path

TESTS = Path(__file__).parents[1]


def read_rows(path: str) -> list[tuple[str, ...]]:
    """Read the rows below the header of a table whose cells stand between tabs."""
    lines = (TESTS / path).read_text("utf-8").splitlines()
    return [tuple(line.split("\t")) for line in lines[1:] if not line.startswith("# ")]
