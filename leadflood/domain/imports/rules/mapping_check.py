"""Checking a mapping against its file: a plan that can be carried out, or every problem at once."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from leadflood.contracts.normalization.cells import read_cell
from leadflood.contracts.normalization.tags import normalize_tag
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.csv_reader import CsvFile
from leadflood.domain.imports.rules.row_parser import guess_fields, is_identifying
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.mappings import (
    Column,
    Importer,
    ImportMapping,
    ImportPlan,
    OnDuplicate,
)
from leadflood.engine.errors import FieldProblem, Invalid, LeadfloodError
from leadflood.engine.text import make_storable

SHOWN_SAMPLES = 3
SHOWN_CHARS = 80
_MAX_NAME_CHARS = 180
_UNIDENTIFIED = (
    "nothing tells who the leads are: map a column to email, linkedin_url,"
    " company_domain, or to a name and company_name"
)


def describe_columns(file: CsvFile) -> tuple[Column, ...]:
    """Return the columns with unique names, which are their headers where these are unique."""
    counts: dict[str, int] = {}
    columns = []
    for index, (header, guess) in enumerate(zip(file.headers, guess_fields(file), strict=True)):
        name = header[:_MAX_NAME_CHARS] or f"column {index + 1}"
        counts[name] = counts.get(name, 0) + 1
        if counts[name] > 1:
            name = f"{name} ({counts[name]}, column {index + 1})"
        columns.append(
            Column(
                name=make_storable(name),
                header=make_storable(header),
                guess=guess,
                samples=_samples(file, index),
            )
        )
    return tuple(columns)


def _samples(file: CsvFile, index: int) -> tuple[str, ...]:
    cells = (record.cells[index] for record in file.sample if index < len(record.cells))
    filled = itertools.islice((cell for cell in cells if cell.strip()), SHOWN_SAMPLES)
    return tuple(make_storable(cell)[:SHOWN_CHARS] for cell in filled)


def check_mapping(
    columns: Sequence[Column], mapping: ImportMapping, importer: Importer
) -> ImportPlan:
    """Return the plan that a mapping means. Raises: Invalid with every field that breaks a rule."""
    problems: list[FieldProblem] = []
    fields = _map_columns(columns, mapping.columns, problems)
    defaults = _check_defaults(mapping.defaults, problems)
    if not is_identifying(_value_fields([*fields, *defaults])):
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
        defaults=defaults,
        on_duplicate=importer.complete(mapping).on_duplicate or OnDuplicate.SKIP,
        enrich=mapping.enrich,
        owner=owner,
        tags=tags,
        visibility=importer.visibility,
        by=importer.by,
    )


def _map_columns(
    columns: Sequence[Column],
    mapped: Mapping[str, ColumnField | None] | None,
    problems: list[FieldProblem],
) -> tuple[ColumnField | None, ...]:
    if mapped is None:
        return tuple(column.guess for column in columns)
    names = {column.name for column in columns}
    problems += [
        FieldProblem(f"columns.{name}", "the file has no such column: take a name of `columns`")
        for name in mapped
        if name not in names
    ]
    return tuple(mapped.get(column.name) for column in columns)


def _check_defaults(
    defaults: Mapping[ColumnField, str], problems: list[FieldProblem]
) -> dict[ColumnField, str]:
    stripped = {field: text.strip() for field, text in defaults.items()}
    problems += [
        FieldProblem(f"defaults.{field.value}", "is not understood")
        for field, text in stripped.items()
        if field.value_field is None or read_cell(field.value_field, text).value is None
    ]
    return stripped


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
