"""Shared domains: one domain under several company names, or in several cities, in one file."""

import msgspec

from leadflood.contracts.normalization.domains import domain_of_email
from leadflood.contracts.normalization.similarity import SAME, company_similarity
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.schemas.rows import ImportRow

_NAMES = (FieldName.FULL_NAME, FieldName.FIRST_NAME, FieldName.LAST_NAME)


class _Company(msgspec.Struct, frozen=True):
    """A company as the first row of a domain names it; its city, where the row is no person's."""

    line: int
    name: str
    city: str


class DomainReader:
    """Notes rows whose domain an earlier row of the file has given to another company."""

    def __init__(self) -> None:
        self._first: dict[str, _Company] = {}

    def read(self, row: ImportRow) -> tuple[str, ...]:
        """Return what tells a row's company apart from the first of its domain."""
        values = row.values
        domain = values.get(FieldName.COMPANY_DOMAIN) or domain_of_email(
            str(values.get(FieldName.EMAIL, ""))
        )
        name = str(values.get(FieldName.COMPANY_NAME, ""))
        if not domain or not name:
            return ()
        is_person = any(field in values for field in _NAMES)
        city = "" if is_person else str(values.get(FieldName.CITY, ""))
        first = self._first.setdefault(str(domain), _Company(row.number, name, city))
        if name != first.name and company_similarity(name, first.name) < SAME:
            return (_note(str(domain), f"{first.name[:60]!r}", first.line),)
        if city and first.city and city.casefold() != first.city.casefold():
            return (_note(str(domain), f"the company in {first.city[:60]!r}", first.line),)
        return ()


def _note(domain: str, other: str, line: int) -> str:
    return f"company_domain: {domain!r} is also that of {other} in line {line}: is it one company?"
