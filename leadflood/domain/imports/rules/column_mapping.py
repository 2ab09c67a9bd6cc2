"""Column mapping: which field each column of a file holds, by its header and by its cells."""

from collections.abc import Sequence

import msgspec

from leadflood.domain.imports.rules.address_evidence import find_in_addresses
from leadflood.domain.imports.rules.cell_kinds import is_filled, kind_of_column, share_of
from leadflood.domain.imports.rules.column_words import (
    WEAK,
    HeaderMeaning,
    find_meaning,
    header_key,
)
from leadflood.domain.imports.rules.consent import guess_by_header
from leadflood.domain.imports.rules.consent_cells import are_verdicts
from leadflood.domain.imports.rules.consent_columns import (
    guess_status_field,
    is_no_answer,
    touches_consent,
)
from leadflood.domain.imports.rules.consent_parts import asks_for_answer, read_parts
from leadflood.domain.imports.rules.external_ids import IdKind, kind_of_ids
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import CellKind

_BY_CELLS = 1_000
"""The rank of a column that only its cells speak for."""
_DISTINCT = 0.5
"""Of addresses of leads at least so many differ; a team's own are the same few."""
_ENOUGH = 4
_FIELDS_OF_KINDS = {
    CellKind.EMAIL: ColumnField.EMAIL,
    CellKind.PROFILE: ColumnField.LINKEDIN_URL,
    CellKind.COMPANY_PAGE: ColumnField.COMPANY_LINKEDIN_URL,
    CellKind.PHONE: ColumnField.PHONE,
    CellKind.URL: ColumnField.COMPANY_DOMAIN,
    CellKind.COUNTRY: ColumnField.COUNTRY,
}
_NAMED_KINDS = {
    CellKind.EMAIL: "e-mail addresses",
    CellKind.PROFILE: "LinkedIn profiles",
    CellKind.COMPANY_PAGE: "companies' LinkedIn pages",
    CellKind.PHONE: "phone numbers",
    CellKind.URL: "web addresses",
    CellKind.COUNTRY: "countries",
    CellKind.DATE: "dates",
    CellKind.NUMBER: "numbers",
    CellKind.SALUTATION: "salutations",
    CellKind.NAME: "names of persons",
}
_CERTAIN = frozenset({CellKind.EMAIL, CellKind.PROFILE, CellKind.COMPANY_PAGE})
"""Kinds that are believed against the header."""
_TYPED_FIELDS = {
    ColumnField.EMAIL: CellKind.EMAIL,
    ColumnField.LINKEDIN_URL: CellKind.PROFILE,
    ColumnField.COMPANY_LINKEDIN_URL: CellKind.COMPANY_PAGE,
    ColumnField.PHONE: CellKind.PHONE,
    ColumnField.MOBILE_PHONE: CellKind.PHONE,
    ColumnField.COMPANY_DOMAIN: CellKind.URL,
}
_UNTIMELY = frozenset(
    {
        ColumnField.PHONE,
        ColumnField.MOBILE_PHONE,
        ColumnField.TITLE,
        ColumnField.EMAIL,
        ColumnField.COUNTRY,
    }
)
"""Fields that no column of dates holds."""
_OF_ONE = frozenset({ColumnField.EMAIL, ColumnField.LINKEDIN_URL, ColumnField.PHONE})
_NO_IDS = frozenset(
    {CellKind.EMAIL, CellKind.PROFILE, CellKind.COMPANY_PAGE, CellKind.URL, CellKind.DATE}
)
_NO_ID_OF_ROWS = {
    IdKind.COUNTED: "is not read, for it only counts the rows (1, 2, 3 …)",
    IdKind.SHARED: "is not read, for several rows have the same",
}
_NO_ANSWERS = frozenset(_NO_IDS - {CellKind.DATE} | {CellKind.PHONE})
_PERSONAL = frozenset({CellKind.EMAIL, CellKind.PROFILE, CellKind.PHONE, CellKind.NAME})


class ReadColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column as it was understood.

    - `field`: what it holds; None: it is left out.
    - `rank`: of two columns for one field the lower is read first.
    - `kind`: what its cells look like.
    - `is_known`: whether its header is known, also as nobody's field.
    - `speaks_of_consent`: whether its header does, or may.
    - `warning`: what was decided and may be wrong.
    """

    field: ColumnField | None
    rank: int = 0
    kind: CellKind | None = None
    is_known: bool = True
    speaks_of_consent: bool = False
    warning: str | None = None


def read_columns(
    headers: Sequence[str], names: Sequence[str], sample: Sequence[Sequence[str]]
) -> tuple[ReadColumn, ...]:
    """Return what each column holds, by its header and the first rows; `names` are for people."""
    cells = [_cells_of(index, sample) for index in range(len(headers))]
    columns = [
        _read_header(header, name, column_cells)
        for header, name, column_cells in zip(headers, names, cells, strict=True)
    ]
    columns = _settle_names(columns, sample)
    for index, column in enumerate(columns):
        columns[index] = _read_cells(names[index], column, cells[index], columns)
    return tuple(_read_by_addresses(columns, names, sample))


def read_order(columns: Sequence[ReadColumn]) -> list[int]:
    """Return the places of columns in the order in which they are read."""
    return sorted(range(len(columns)), key=lambda index: (columns[index].rank, index))


def warn_of_columns(headers: Sequence[str], columns: Sequence[ReadColumn]) -> list[str]:
    """Return what was decided about columns and may be wrong, in words."""
    warnings = [column.warning for column in columns if column.warning is not None]
    return warnings + _warn_of_doubles(headers, columns)


def warn_of_unread(name: str, kind: CellKind) -> list[str]:
    """Return that an unknown column is not read, if its cells look like a person's."""
    if kind not in _PERSONAL:
        return []
    what = _NAMED_KINDS[kind]
    return [f"column {name!r} is not read, and its cells look like {what}: map it, or leave it out"]


def _warn_of_doubles(headers: Sequence[str], columns: Sequence[ReadColumn]) -> list[str]:
    by_field: dict[ColumnField, list[str]] = {}
    for index in read_order(columns):
        if (field := columns[index].field) is not None:
            by_field.setdefault(field, []).append(headers[index])
    return [
        f"{field.value}: {names[0]!r} is used; {', '.join(map(repr, names[1:]))}"
        f" {'fills' if len(names) == 2 else 'fill'} its empty cells"  # noqa: PLR2004 - two of a pair
        for field, names in by_field.items()
        if len(names) > 1 and field.value_field is not None
    ]


def _cells_of(index: int, sample: Sequence[Sequence[str]]) -> list[str]:
    return [row[index] for row in sample if index < len(row) and row[index].strip()]


def _read_by_addresses(
    columns: Sequence[ReadColumn], names: Sequence[str], sample: Sequence[Sequence[str]]
) -> list[ReadColumn]:
    """Return columns with those whose cells stand in the e-mail addresses beside them."""
    unknown = [
        index
        for index, column in enumerate(columns)
        if column.field is None
        and not column.is_known
        and column.kind in {None, CellKind.NAME, CellKind.COUNTRY}
    ]
    found = find_in_addresses([column.field for column in columns], unknown, sample)
    read = list(columns)
    for index, field in found.items():
        warning = (
            f"column {names[index]!r} is read as {field.value}, for its cells stand in the e-mail"
            " addresses"
        )
        read[index] = msgspec.structs.replace(
            columns[index], field=field, rank=_BY_CELLS, warning=warning
        )
    return read


def _read_header(header: str, name: str, cells: Sequence[str]) -> ReadColumn:
    """Return what a header says, unless its cells contradict it.

    What speaks of consent is that, or nothing: it is never read by its cells as anything else.
    """
    kind = kind_of_column(cells)
    meaning = find_meaning(header)
    if touches_consent(header) or _may_speak(header, meaning, kind):
        return ReadColumn(
            field=guess_by_header(header, cells),
            kind=kind,
            speaks_of_consent=not is_no_answer(header),
        )
    if meaning is None or meaning.field is None:
        status = guess_status_field(header)
        if are_verdicts(cells) and (status is None or header_key(header) == "status"):
            status = ColumnField.EMAIL_STATUS
        return ReadColumn(field=status, kind=kind, is_known=bool(meaning or status))
    column = ReadColumn(field=meaning.field, rank=meaning.rank, kind=kind)
    if meaning.field is ColumnField.EXTERNAL_ID:
        return _read_ids(name, column, meaning, cells)
    if kind is CellKind.SALUTATION:
        return msgspec.structs.replace(column, field=None)
    return _weigh(name, column, cells) or column


def _may_speak(header: str, meaning: HeaderMeaning | None, kind: CellKind | None) -> bool:
    """Whether a header that no list has may speak of consent, by the words in it.

    Not where it is the header of a value, nor over cells that are no answers.
    """
    is_value = meaning is not None and (meaning.field is not None or guess_status_field(header))
    if kind in _NO_ANSWERS:
        return False
    return asks_for_answer(header) or (not is_value and read_parts(header) is not None)


def _read_ids(
    name: str, column: ReadColumn, meaning: HeaderMeaning, cells: Sequence[str]
) -> ReadColumn:
    """Return a column of ids, unless its cells say nothing of who a row is.

    Where they are no ids at all, the column is what they look like.
    """
    is_weak = meaning.rank >= WEAK
    if column.kind in _NO_IDS or (is_weak and column.kind is CellKind.PHONE):
        return msgspec.structs.replace(column, field=None, is_known=False)
    kind = kind_of_ids(cells, is_weak=is_weak)
    if kind is IdKind.IDS:
        warning = f"column {name!r} is read as external_id, for its cells look like ids"
        return msgspec.structs.replace(column, warning=warning) if is_weak else column
    if kind is IdKind.OTHER:
        return msgspec.structs.replace(column, field=None, is_known=False)
    warning = f"column {name!r} {_NO_ID_OF_ROWS[kind]}: map it to external_id if it is an id"
    is_open = not is_weak and not meaning.is_of_company
    return msgspec.structs.replace(column, field=None, warning=warning if is_open else None)


def _weigh(name: str, column: ReadColumn, cells: Sequence[str]) -> ReadColumn | None:
    """Return what a column is whose cells are of another kind than its header says."""
    field, kind = column.field, column.kind
    if field is None or kind is None or field.value_field is None:
        return None
    own_kind = _TYPED_FIELDS.get(field)
    if own_kind is kind or (own_kind is not None and share_of(own_kind, cells) > 0):
        return None
    looks = f"column {name!r} is called like {field.value}, and its cells look like"
    if kind in _CERTAIN:
        better = _FIELDS_OF_KINDS[kind]
        warning = f"{looks} {_NAMED_KINDS[kind]}: it is read as {better.value}"
        return msgspec.structs.replace(column, field=better, rank=_BY_CELLS, warning=warning)
    is_name = kind is CellKind.NAME and own_kind is not None
    if is_name or (kind is CellKind.DATE and field in _UNTIMELY):
        warning = f"{looks} {_NAMED_KINDS[kind]}: it is left out"
        return msgspec.structs.replace(column, field=None, warning=warning)
    return None


def _settle_names(
    columns: Sequence[ReadColumn], sample: Sequence[Sequence[str]]
) -> list[ReadColumn]:
    """Settle what `Name` is: a last name beside a first one, unless the first stands in it too.

    In some languages one word is the first name or the last, or the whole name where it stands
    alone (`nom`, `nombre`).
    """
    fields = {column.field for column in columns}
    settled = list(columns)
    for index, column in enumerate(columns):
        field = column.field
        if field is ColumnField.FULL_NAME and ColumnField.FIRST_NAME in fields:
            is_last = ColumnField.LAST_NAME not in fields and not _holds_first(
                index, columns, sample
            )
            field = ColumnField.LAST_NAME if is_last else field
        elif (field is ColumnField.LAST_NAME and ColumnField.FIRST_NAME not in fields) or (
            field is ColumnField.FIRST_NAME and ColumnField.LAST_NAME not in fields
        ):
            field = ColumnField.FULL_NAME if column.rank >= WEAK else field
        settled[index] = msgspec.structs.replace(column, field=field)
    return settled


def _holds_first(
    index: int, columns: Sequence[ReadColumn], sample: Sequence[Sequence[str]]
) -> bool:
    """Whether the cells of a column hold the first names that stand beside them."""
    first_index = [column.field for column in columns].index(ColumnField.FIRST_NAME)
    pairs = [
        (header_key(row[first_index]), header_key(row[index]))
        for row in sample
        if max(first_index, index) < len(row)
    ]
    filled = [(first, name) for first, name in pairs if first and name]
    return sum(first in name for first, name in filled) > len(filled) / 2


def _read_cells(
    name: str, column: ReadColumn, cells: Sequence[str], columns: Sequence[ReadColumn]
) -> ReadColumn:
    """Return what a column of an unknown header holds, if its cells say it and no header does."""
    field = _FIELDS_OF_KINDS.get(column.kind) if column.kind is not None else None
    taken = {other.field for other in columns}
    if column.is_known or field is None or field in taken or not _may_be_leads(field, cells):
        return column
    looks = f"column {name!r} is read as {field.value}, for its cells look like"
    warning = f"{looks} {_NAMED_KINDS[column.kind]}" if column.kind else None
    return msgspec.structs.replace(column, field=field, rank=_BY_CELLS, warning=warning)


def _may_be_leads(field: ColumnField, cells: Sequence[str]) -> bool:
    """Whether addresses differ from row to row; those of a team's own members do not."""
    if field not in _OF_ONE:
        return True
    filled = [cell.strip().casefold() for cell in cells if is_filled(cell)]
    return len(filled) < _ENOUGH or len(set(filled)) >= _DISTINCT * len(filled)
