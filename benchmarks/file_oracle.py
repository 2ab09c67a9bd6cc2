"""What must be true of a damaged file that was read, whatever the damage.

- Nothing is lost in silence: each person's cell in the file is in a row, in a bad row or above the
  header.
- Nobody has another's cell.
- A row that the damage did not touch comes out whole; one that it touched is whole, or bad with a
  reason, or says that it lacks cells.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.rows import ImportRow, ReadCsv
from leadflood.engine.errors import Invalid

from benchmarks.file_damage import TOKEN, Sheet

_FIELDS = {
    "fn": FieldName.FIRST_NAME,
    "ln": FieldName.LAST_NAME,
    "co": FieldName.COMPANY_NAME,
    "ti": FieldName.TITLE,
    "ci": FieldName.CITY,
    "em": FieldName.EMAIL,
}
_OF_ADDRESS = {FieldName.EMAIL, FieldName.COMPANY_DOMAIN}


class Verdict(msgspec.Struct, kw_only=True):
    """What is wrong with how a file was read; all empty: nothing."""

    lost: list[str] = []
    others: list[str] = []
    not_whole: list[str] = []
    crash: str = ""

    @property
    def is_as_expected(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.others or self.not_whole or self.crash)


def judge(clean: Sheet, damaged: Sheet) -> Verdict:
    """Read a file before and after its damage, and compare."""
    before = _by_person(read_csv(clean.raw()).rows)
    try:
        file = read_csv(damaged.raw())
    except Invalid as error:
        return Verdict(crash="" if _is_empty(damaged) else f"refused: {error.detail}")
    except Exception as error:  # noqa: BLE001 - it is what is counted
        return Verdict(crash=repr(error))
    after = _by_person(file.rows)
    verdict = Verdict(
        lost=_list_lost(damaged, file),
        others=[str(row.values) for row in file.rows if len(_people_of(row)) > 1],
    )
    for number, row in before.items():
        if number not in damaged.touched and after.get(number) != row:
            verdict.not_whole.append(f"untouched {number}: {after.get(number)} was {row}")
    verdict.not_whole += [
        f"touched: {row.values}" for row in file.rows if not row.notes and not _is_in_place(row)
    ]
    return verdict


def _is_empty(sheet: Sheet) -> bool:
    return not any(TOKEN.search(line) for line in sheet.lines)


def _by_person(rows: Iterable[ImportRow]) -> dict[int, dict[FieldName, object]]:
    return {min(_people_of(row), default=-1): dict(row.values) for row in rows}


def _people_of(row: ImportRow) -> set[int]:
    """Return whose cells a row has."""
    return {int(number) for value in row.values.values() for _, number in TOKEN.findall(str(value))}


def _is_in_place(row: ImportRow) -> bool:
    """Whether each cell stands in the column of its kind."""
    return all(
        field in _OF_ADDRESS if kind.lower() == "em" else field is _FIELDS[kind.lower()]
        for field, value in row.values.items()
        for kind, _ in TOKEN.findall(str(value))
        if field is not FieldName.FULL_NAME
    )


def _list_lost(sheet: Sheet, file: ReadCsv) -> list[str]:
    """Return the cells of people that are in the file and nowhere in what was read."""
    texts = [cell for row in (*file.rows, *file.bad) for cell in row.raw]
    read = _count_tokens([*texts, *file.skipped_lines])
    missing = _count_tokens([sheet.text()]) - read
    return [str(token) for token in missing]


def _count_tokens(texts: Iterable[str]) -> Counter[str]:
    return Counter(
        f"{kind.lower()}{number}"
        for text in texts
        for kind, number in TOKEN.findall(text.replace("\x00", ""))
    )
