"""Columns of a file: their names, what they hold, and what of that is a guess."""

import itertools
from collections.abc import Sequence

from leadflood.domain.imports.rules.column_mapping import read_columns, warn_of_columns
from leadflood.domain.imports.rules.csv_reader import CsvFile
from leadflood.domain.imports.rules.own_export import (
    is_own_export,
    own_fields,
    without_own_ids,
)
from leadflood.domain.imports.rules.subject import SubjectGuess, fields_for
from leadflood.domain.imports.schemas.columns import Column, FileColumns, Subject
from leadflood.engine.text import make_storable

SHOWN_SAMPLES = 3
SHOWN_CHARS = 80
_MAX_NAME_CHARS = 180
_NO_HEADER = (
    "no row names the columns: they are called `column 1`, `column 2` …, and the first row is read"
    " as the others are"
)


_OWN_EXPORT = (
    "this is an export of leadflood: values, tags and owners are read, what it knows of a lead"
    " beside them is not"
)


def describe_columns(file: CsvFile) -> FileColumns:
    """Return the columns of a file as its headers and its first rows are understood."""
    sample = [record.cells for record in file.sample]
    names = name_columns(file.headers)
    if is_own_export(file.headers):
        fields = own_fields(file.headers)
        columns = tuple(
            Column(name=name, header=name, guess=field, samples=_samples(sample, index))
            for index, (name, field) in enumerate(zip(names, fields, strict=True))
        )
        return FileColumns(columns=columns, subject=Subject.PEOPLE, warnings=(_OWN_EXPORT,))
    read = read_columns(file.headers, names, sample)
    guess = SubjectGuess([column.field for column in read], sample)
    fields = fields_for(file.headers, [column.field for column in read], guess.subject)
    fields = without_own_ids(file.headers, fields)
    columns = tuple(
        Column(
            name=name,
            header=make_storable(header),
            guess=field,
            samples=_samples(sample, index),
            looks_like=column.kind,
            rank=column.rank,
            speaks_of_consent=column.speaks_of_consent,
        )
        for index, (name, header, field, column) in enumerate(
            zip(names, file.headers, fields, read, strict=True)
        )
    )
    warnings = [_NO_HEADER] if not any(file.headers) else []
    warnings += warn_of_columns(names, read)
    warnings += [warning for warning in [guess.warning()] if warning is not None]
    return FileColumns(
        columns=columns,
        subject=guess.subject,
        warnings=tuple(warnings),
        unknown=tuple(
            index
            for index, column in enumerate(read)
            if column.field is None and not column.is_known
        ),
    )


def columns_of_headers(headers: Sequence[str]) -> tuple[Column, ...]:
    """Return columns of which only the headers are known."""
    names = name_columns(headers)
    return tuple(
        Column(name=name, header=header, guess=column.field, rank=column.rank)
        for name, header, column in zip(
            names, headers, read_columns(headers, names, ()), strict=True
        )
    )


def name_columns(headers: Sequence[str]) -> list[str]:
    """Return unique names of columns: their headers where these are unique."""
    counts: dict[str, int] = {}
    names = []
    for index, header in enumerate(headers):
        name = header[:_MAX_NAME_CHARS] or f"column {index + 1}"
        counts[name] = counts.get(name, 0) + 1
        if counts[name] > 1:
            name = f"{name} ({counts[name]}, column {index + 1})"
        names.append(make_storable(name))
    return names


def _samples(sample: Sequence[Sequence[str]], index: int) -> tuple[str, ...]:
    cells = (cells[index] for cells in sample if index < len(cells))
    filled = itertools.islice((cell for cell in cells if cell.strip()), SHOWN_SAMPLES)
    return tuple(make_storable(cell)[:SHOWN_CHARS] for cell in filled)
