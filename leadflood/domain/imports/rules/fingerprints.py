"""Fingerprints of files: the same for all files of one source, in whatever order columns stand."""

import hashlib
from collections.abc import Sequence

import msgspec

from leadflood.domain.imports.rules.column_words import header_key
from leadflood.domain.imports.schemas.columns import Column
from leadflood.domain.imports.schemas.mappings import ImportMapping


def fit_mapping(mapping: ImportMapping, columns: Sequence[Column]) -> ImportMapping:
    """Return a mapping with the names that these columns have, which may be written otherwise."""
    ignored = {header_key(name) for name in mapping.ignore_consent_columns}
    mapping = msgspec.structs.replace(
        mapping,
        ignore_consent_columns=tuple(
            column.name for column in columns if header_key(column.name) in ignored
        ),
    )
    if mapping.columns is None:
        return mapping
    names = {header_key(name): name for name in mapping.columns}
    fitted = {
        column.name: mapping.columns[name]
        for column in columns
        if (name := names.get(header_key(column.name))) is not None
    }
    return msgspec.structs.replace(mapping, columns=fitted)


def fingerprint_of(columns: Sequence[Column]) -> bytes:
    """Return the fingerprint of headers; of a column without one, of what its cells look like."""
    keys = sorted(
        header_key(column.header) or f"{column.name}:{column.looks_like}" for column in columns
    )
    return hashlib.sha256("\n".join(keys).encode()).digest()
