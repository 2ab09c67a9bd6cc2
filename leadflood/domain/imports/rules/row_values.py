"""Row values: what a row says of a lead, as values with the line of the file as their evidence."""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.normalization.domains import domain_of_email
from leadflood.contracts.normalization.names import has_initials
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.schemas.rows import ImportRow
from leadflood.domain.leads.schemas.identity import NewPerson

CSV_SOURCE = "csv"
IMPORT_METHOD = "import"
CONFIDENCE = 0.9
"""How sure a customer's own records are: more than a guess, less than a check."""
DERIVED_CONFIDENCE = 0.7
"""How sure a company's domain is that was only read off an address, and an initial as a name."""
FURTHER_CONFIDENCE = 0.4
"""How sure a second number of a cell is: too little to say who the lead is."""
FURTHER_EMAIL_CONFIDENCE = 0.5
"""How sure a second address is: enough to find its reader again, if they have this name."""

_GIVEN_FIRST = frozenset({FieldName.FULL_NAME, FieldName.FIRST_NAME})


def person_of(row: ImportRow, import_id: UUID, now: datetime) -> NewPerson:
    """Return the person that a row names."""
    return NewPerson(
        source=CSV_SOURCE,
        values=values_of(row, import_id, now),
        external_ids=tuple((each.system, each.value) for each in row.external_ids),
    )


def values_of(row: ImportRow, import_id: UUID, now: datetime) -> tuple[FoundValue, ...]:
    """Return the values of a row, and the company's domain where only the address names it.

    A row is observed a microsecond after the one before: of two equal values the later row wins.
    """
    evidence = evidence_of(import_id, row.number)
    observed_at = now + timedelta(microseconds=row.number)
    rated = [
        (field, value, _confidence_of(field, value), IMPORT_METHOD)
        for field, value in row.values.items()
    ]
    domain = domain_of_email(str(row.values.get(FieldName.EMAIL, "")))
    if domain is not None and FieldName.COMPANY_DOMAIN not in row.values:
        rated.append((FieldName.COMPANY_DOMAIN, domain, DERIVED_CONFIDENCE, IMPORT_METHOD))
    rated += [
        (field, value, _further_confidence(field), f"{IMPORT_METHOD}.{position}")
        for field, values in row.others.items()
        for position, value in enumerate(values, 2)
    ]
    return tuple(
        FoundValue(
            field=field,
            value=value,
            source=CSV_SOURCE,
            method=method,
            observed_at=observed_at,
            confidence=confidence,
            evidence_hash=evidence,
            is_normal=True,
        )
        for field, value, confidence, method in rated
    )


def _confidence_of(field: FieldName, value: Scalar) -> float:
    """Return how sure a value is: a later `E.` does not take the place of `Elizabeth`."""
    if field not in _GIVEN_FIRST:
        return CONFIDENCE
    first = str(value).partition(" ")[0].strip(".")
    return DERIVED_CONFIDENCE if len(first) == 1 and has_initials(first) else CONFIDENCE


def _further_confidence(field: FieldName) -> float:
    return FURTHER_EMAIL_CONFIDENCE if field is FieldName.EMAIL else FURTHER_CONFIDENCE


def evidence_of(import_id: UUID, number: int) -> str:
    """Return the evidence hash of what a line of a file says; the line itself is stored."""
    return hashlib.sha256(f"{import_id}:{number}".encode()).hexdigest()
