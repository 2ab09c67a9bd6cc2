"""External ids: which columns hold ids of people in another system, and what a cell of one is.

A number that merely counts the rows says nothing of who they are: the next file counts anew.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from leadflood.contracts.normalization.no_values import is_no_value
from leadflood.contracts.normalization.text import clean_text
from leadflood.domain.imports.rules.column_words import find_system, header_tokens
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.rows import ExternalId

_SHARE, _DISTINCT = 0.6, 0.8
_SLACK = 1.2
"""A count may go on so far beyond the rows: some were deleted since."""
_FLOAT = re.compile(r"(\d+)[.,]0+")
_LOST_DIGITS = re.compile(r"\d[.,]?\d*e\+?\d+", re.IGNORECASE)
_ID = re.compile(r"(?=.*\d)[^\W_](?:\w|[-_/:#.+=]){0,99}|\{[0-9a-f-]{36}\}", re.IGNORECASE)
_TELLING = re.compile(
    r"\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?"  # a UUID
    r"|\d{5,}"
    r"|[a-z]+(?:[-_/:#.][a-z]+)*[-_/:#.]?\d{3,}"  # K-1001
    r"|(?=.*[a-z])(?=(?:.*\d){2})[a-z0-9]{10,}"  # 5f0c1a2b3c4d
    r"|[a-z]{2,8}_[a-z0-9]{6,}",  # cus_9s6XKzkNRiz8i3
    re.IGNORECASE,
)
"""Ids by their look alone, whatever their column is called."""
_COUNTED = re.compile(r"(?P<start>\D*)(?P<number>\d{1,15})")
_SALESFORCE = re.compile(r"[A-Za-z0-9]{15}(?P<check>[A-Z0-5]{3})|00[13Q][A-Za-z0-9]{12}")
_CHECK_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_PREFIXED = re.compile(r"(?P<system>[a-z]{2,8})_[A-Za-z0-9]{6,}")


class IdKind(StrEnum):
    """What the cells of a column are whose header speaks of ids.

    `counted`: they count the rows. `shared`: several rows have the same.
    """

    IDS = "ids"
    COUNTED = "counted"
    SHARED = "shared"
    OTHER = "other"


def kind_of_ids(cells: Sequence[str], *, is_weak: bool) -> IdKind:
    """Return what cells are; under a weak header only those that look like an id are one."""
    filled = [cell for cell in cells if not is_no_value(clean_text(cell))]
    ids = [value for cell in filled if (value := read_id(cell)) and _ID.fullmatch(value)]
    if not ids or len(ids) < _SHARE * len(filled):
        return IdKind.OTHER
    if _count_rows(ids, may_begin_alike=is_weak):
        return IdKind.COUNTED
    if is_weak and sum(_TELLING.fullmatch(text) is not None for text in ids) < _SHARE * len(ids):
        return IdKind.OTHER
    repeated = len(ids) - len(set(ids))
    is_shared = repeated > 1 and repeated > (1 - _DISTINCT) * len(ids)
    return IdKind.SHARED if is_shared else IdKind.IDS


def read_id(text: str) -> str | None:
    """Return an id as it is compared; None: the text is none.

    Spreadsheets' floats are undone, and Salesforce's 18 signs are the 15 that they begin with.
    """
    cleaned = clean_text(text).removeprefix("'")
    if is_no_value(cleaned) or _LOST_DIGITS.fullmatch(cleaned) or not cleaned.strip("0"):
        return None
    if number := _FLOAT.fullmatch(cleaned):
        return number[1]
    return _salesforce_id(cleaned) or cleaned


class IdReader:
    """Reads the ids of a row, each with the system that it is of.

    A plan's `source` is the system of the first column whose header names none.
    """

    def __init__(self, plan: ImportPlan) -> None:
        columns = [
            column
            for column in plan.order or range(len(plan.fields))
            if plan.fields[column] is ColumnField.EXTERNAL_ID
        ]
        headers = dict(enumerate(plan.headers))
        named = {column: find_system(headers.get(column, "")) for column in columns}
        self._systems = {
            column: system or " ".join(header_tokens(headers.get(column, ""))) or "file"
            for column, system in named.items()
        }
        self._source = plan.source
        nameless = [column for column in columns if named[column] is None]
        self._own_column = next(iter(nameless + columns), None)

    def read(self, cells: Sequence[str]) -> tuple[tuple[ExternalId, ...], tuple[str, ...]]:
        """Return the ids of a row, and what was not understood."""
        ids: list[ExternalId] = []
        notes: list[str] = []
        for column, system in self._systems.items():
            text = clean_text(cells[column]) if column < len(cells) else ""
            if value := read_id(text):
                own = self._source if column == self._own_column else None
                ids.append(ExternalId(own or _system_by_look(value) or system, value))
            elif _LOST_DIGITS.fullmatch(text):
                notes.append(f"external_id: {text!r} has lost its digits: export them as text")
        return tuple(dict.fromkeys(ids)), tuple(notes)


def _system_by_look(value: str) -> str | None:
    if _salesforce_id(value):
        return "salesforce"
    match = _PREFIXED.fullmatch(value)
    return None if match is None else match["system"]


def _salesforce_id(text: str) -> str | None:
    """Return the 15 signs of an id of Salesforce; the 3 behind them say which are capitals."""
    match = _SALESFORCE.fullmatch(text)
    if match is None or text.isdigit():
        return None
    own, check = text[:15], match["check"]
    parts = (own[start : start + 5] for start in (0, 5, 10))
    sums = (sum(sign.isupper() << bit for bit, sign in enumerate(part)) for part in parts)
    return own if check in {None, "".join(_CHECK_SIGNS[each] for each in sums)} else None


def _count_rows(ids: Sequence[str], *, may_begin_alike: bool) -> bool:
    """Whether ids are 1, 2, 3 … in any order; `may_begin_alike`: also R1, R2, R3."""
    matches = [match for text in ids if (match := _COUNTED.fullmatch(text))]
    if len(matches) < len(ids) or len({match["start"] for match in matches}) > 1:
        return False
    if matches[0]["start"] and not may_begin_alike:
        return False
    numbers = {int(match["number"]) for match in matches}
    return min(numbers) <= 1 and len(numbers) == len(ids) and max(numbers) <= _SLACK * len(ids)
