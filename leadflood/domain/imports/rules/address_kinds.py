"""Address kinds: which cells are an e-mail address, a web address or a number by their look alone.

They tell where a row is damaged: what stands in the wrong column belongs to another one.
"""

import re
from collections.abc import Sequence
from enum import StrEnum


class AddressKind(StrEnum):
    """The look of a cell that no free text has."""

    EMAIL = "e-mail address"
    URL = "web address"
    PHONE = "phone number"


_MOSTLY = 0.8
_MIN_PHONE_DIGITS = 7
_EMAIL = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+\.[^\s@,;<>\".]{2,}")
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_PHONE = re.compile(r"\+?[\d\s()./-]{7,25}")


def kind_of(cell: str) -> AddressKind | None:
    """Return the kind of a cell; None: it may be any text."""
    text = cell.strip().strip("\"'").strip()
    if not text:
        return None
    if _EMAIL.fullmatch(text):
        return AddressKind.EMAIL
    if _URL.fullmatch(text):
        return AddressKind.URL
    is_phone = _PHONE.fullmatch(text) and sum(map(str.isdigit, text)) >= _MIN_PHONE_DIGITS
    return AddressKind.PHONE if is_phone else None


def find_address(text: str) -> str | None:
    """Find an e-mail or web address within a text."""
    match = _EMAIL.search(text) or _URL.search(text)
    return match[0] if match else None


def kinds_of_columns(rows: Sequence[Sequence[str]], width: int) -> dict[int, AddressKind]:
    """Return the columns whose filled cells are mostly of one kind."""
    kinds = {}
    for column in range(width):
        cells = [row[column] for row in rows if column < len(row) and row[column].strip()]
        counted = [kind_of(cell) for cell in cells]
        for kind in AddressKind:
            if cells and counted.count(kind) >= _MOSTLY * len(cells):
                kinds[column] = kind
    return kinds
