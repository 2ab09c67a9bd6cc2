"""Checking a mapping against its file: a plan that can be carried out, or every problem at once."""

from collections.abc import Iterable, Mapping, Sequence

from leadflood.contracts.normalization.cells import read_cell
from leadflood.contracts.normalization.tags import normalize_tag
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.consent import is_clear
from leadflood.domain.imports.rules.row_parser import is_identifying
from leadflood.domain.imports.rules.subject import fields_for
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import Column, Subject
from leadflood.domain.imports.schemas.mappings import (
    Importer,
    ImportMapping,
    ImportPlan,
    OnDuplicate,
)
from leadflood.engine.errors import FieldProblem, Invalid, LeadfloodError

_TELLS_WHO = frozenset(
    {
        FieldName.EMAIL,
        FieldName.LINKEDIN_URL,
        FieldName.FULL_NAME,
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
        FieldName.PHONE,
        FieldName.MOBILE_PHONE,
    }
)
"""What one person has: no default for all rows of a file. A company may be that of all."""
_UNIDENTIFIED = (
    "nothing tells who the leads are: map a column to email, linkedin_url or company_domain, a name"
    " and company_name, phone or external_id, or company_name and city, country, phone or"
    " external_id"
)
_MAPPED_RANK = 500


def check_mapping(
    columns: Sequence[Column], mapping: ImportMapping, importer: Importer
) -> ImportPlan:
    """Return the plan that a mapping means. Raises: Invalid with every field that breaks a rule."""
    problems: list[FieldProblem] = []
    fields = map_columns(columns, mapping.columns, mapping.subject, problems)
    names = {column.name for column in columns}
    problems += [
        FieldProblem(f"ignoreConsentColumns[{index}]", "the file has no such column")
        for index, name in enumerate(mapping.ignore_consent_columns)
        if name not in names
    ]
    defaults = _check_defaults(mapping.defaults, problems)
    has_id = ColumnField.EXTERNAL_ID in fields
    if not is_identifying(_value_fields([*fields, *defaults]), has_id=has_id):
        problems.append(FieldProblem("columns", _UNIDENTIFIED))
    tags = _check_tags(mapping.tags, problems)
    owner = importer.owner if mapping.owner_id is None else str(mapping.owner_id)
    if not importer.visibility.allows(owner):
        problems.append(FieldProblem("ownerId", "you may import for yourself only"))
    if problems:
        raise Invalid.of(
            problems,
            prefix="the mapping does not fit the file",
            most_named=10,
            code="leads.import.mapping",
        )
    return ImportPlan(
        fields=fields,
        headers=tuple(column.header for column in columns),
        order=order_columns(columns, fields),
        defaults=defaults,
        on_duplicate=importer.complete(mapping).on_duplicate or OnDuplicate.SKIP,
        enrich=mapping.enrich,
        owner=owner,
        tags=tags,
        visibility=importer.visibility,
        by=importer.by,
        source=mapping.source,
        no_opt_in=mapping.no_opt_in,
    )


def map_columns(
    columns: Sequence[Column],
    mapped: Mapping[str, ColumnField | None] | None,
    subject: Subject | None,
    problems: list[FieldProblem],
) -> tuple[ColumnField | None, ...]:
    """Return the field of each column: as mapped, or as guessed for a subject (None: any)."""
    if mapped is None:
        guesses = tuple(column.guess for column in columns)
        headers = [column.header for column in columns]
        return guesses if subject is None else fields_for(headers, guesses, subject)
    names = {column.name for column in columns}
    problems += [
        FieldProblem(f"columns.{name}", "the file has no such column: take a name of `columns`")
        for name in mapped
        if name not in names
    ]
    return tuple(mapped.get(column.name) for column in columns)


def order_columns(
    columns: Sequence[Column], fields: Sequence[ColumnField | None]
) -> tuple[int, ...]:
    """Return the places of columns in the order in which they are read.

    Of two columns for one field the more exact goes first; one that a person mapped against its
    guess goes between the headers that are known and what only cells speak for.
    """

    def rank(index: int) -> tuple[int, int]:
        column = columns[index]
        return (column.rank if column.guess is fields[index] else _MAPPED_RANK, index)

    return tuple(sorted(range(len(fields)), key=rank))


def _check_defaults(
    defaults: Mapping[ColumnField, str], problems: list[FieldProblem]
) -> dict[ColumnField, str]:
    stripped = {field: text.strip() for field, text in defaults.items()}
    problems += [
        FieldProblem(f"defaults.{field.value}", problem)
        for field, text in stripped.items()
        if (problem := _default_problem(field, text))
    ]
    return stripped


def _default_problem(field: ColumnField, text: str) -> str | None:
    """Return why a text may not fill the empty cells of a field; None: it may."""
    if field.value_field in _TELLS_WHO or field is ColumnField.EXTERNAL_ID:
        return "tells who a lead is: a default would make one person of all rows; leave it out"
    if field.value_field is None:
        return None if text and is_clear(field, text) else "is not understood"
    cell = read_cell(field.value_field, text)
    return None if cell.value is not None else cell.note or "is empty: write a value"


def _value_fields(fields: Iterable[ColumnField | None]) -> set[FieldName]:
    return {field.value_field for field in fields if field and field.value_field}


def _check_tags(texts: Iterable[str], problems: list[FieldProblem]) -> tuple[str, ...]:
    tags: list[str] = []
    for index, text in enumerate(texts):
        try:
            tags.append(normalize_tag(text))
        except LeadfloodError as error:
            problems.append(FieldProblem(f"tags[{index}]", error.detail))
    return tuple(dict.fromkeys(tags))
