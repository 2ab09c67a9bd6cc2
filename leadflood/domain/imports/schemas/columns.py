"""Columns of a file as they were understood."""

from enum import StrEnum

import msgspec

from leadflood.domain.imports.schemas.column_fields import ColumnField


class CellKind(StrEnum):
    """The look of cells, whatever their header says; `name` is a person's by its shape alone."""

    EMAIL = "email"
    PROFILE = "profile"
    COMPANY_PAGE = "company_page"
    URL = "url"
    PHONE = "phone"
    COUNTRY = "country"
    DATE = "date"
    NUMBER = "number"
    SALUTATION = "salutation"
    NAME = "name"


class Subject(StrEnum):
    """What the rows of a file are: people, or companies without a person."""

    PEOPLE = "people"
    COMPANIES = "companies"


class NoOptIn(StrEnum):
    """What a no in a column of opt-ins says: they refused, or were never asked."""

    REFUSED = "refused"
    NOT_ASKED = "not_asked"


class Column(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A column of a file.

    - `name`: what a mapping calls it: its header where that is unique.
    - `header`: its header; empty: it has none.
    - `guess`: the field that its header and its cells speak for; null: it would be left out.
    - `samples`: its first filled cells.
    - `looks_like`: what most of its cells look like; null: nothing in particular.
    - `rank`: of two columns for one field the lower is used, the other fills its empty cells.
    - `speaks_of_consent`: whether its header or a cell speaks of consent: it is read, or waved
      through by name.
    """

    name: str
    header: str
    guess: ColumnField | None
    samples: tuple[str, ...] = ()
    looks_like: CellKind | None = None
    rank: int = 0
    speaks_of_consent: bool = False


class ColumnChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a file's columns against their guesses.

    - `changes`: the fields of columns by their names; None: the column is left out.
    - `subject`: what the rows are; None: as guessed.
    - `ignored_consent`: columns that speak of consent and are left unread, by their names.
    - `currency`: the installation's, in which sums are numbers.
    - `no_opt_in`: what a no in a column of opt-ins says; None: as the cell says it.
    - `source`: the system that the file's ids are of; None: as their header says.
    """

    changes: dict[str, ColumnField | None] = {}
    subject: Subject | None = None
    ignored_consent: tuple[str, ...] = ()
    currency: str | None = None
    no_opt_in: NoOptIn | None = None
    source: str | None = None


class FileColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a file, what its rows are, and what was guessed and may be wrong.

    `unknown` are the places of columns whose headers nobody knows, and that are not read.
    """

    columns: tuple[Column, ...]
    subject: Subject
    warnings: tuple[str, ...] = ()
    unknown: tuple[int, ...] = ()
