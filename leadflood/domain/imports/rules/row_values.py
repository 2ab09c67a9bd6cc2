"""Row values: what a row says of a lead, as values with the line of the file as their evidence."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.normalization.domains import domain_of_email
from leadflood.contracts.normalization.text import clean_text, name_key
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.schemas.rows import ImportRow
from leadflood.domain.leads.schemas.identity import MAX_KEY, IdentityKey, NewPerson
from leadflood.domain.leads.schemas.lead_states import LeadStatus

CSV_SOURCE = "csv"
IMPORT_METHOD = "import"
CONFIDENCE = 0.9
"""How sure a customer's own records are: more than a guess, less than a check."""
DERIVED_CONFIDENCE = 0.7
"""How sure a company's domain is that was only read off an address."""
IDENTIFYING_FIELDS = frozenset(
    {
        FieldName.EMAIL,
        FieldName.LINKEDIN_URL,
        FieldName.COMPANY_DOMAIN,
        FieldName.FULL_NAME,
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
        FieldName.COMPANY_NAME,
    }
)
_STRONG_FIELDS = frozenset({FieldName.EMAIL, FieldName.LINKEDIN_URL, FieldName.COMPANY_DOMAIN})


def person_of(
    row: ImportRow, import_id: UUID, now: datetime, status: LeadStatus = LeadStatus.PROCESSING
) -> NewPerson:
    """Return the person that a row names; `status` is that of a new lead."""
    return NewPerson(
        source=CSV_SOURCE,
        values=values_of(row, import_id, now),
        keys=name_keys(row.values),
        status=status,
    )


def values_of(row: ImportRow, import_id: UUID, now: datetime) -> tuple[FoundValue, ...]:
    """Return the values of a row, and the company's domain where only the address names it."""
    evidence = evidence_of(import_id, row.number)
    rated = [(field, value, CONFIDENCE) for field, value in row.values.items()]
    domain = domain_of_email(str(row.values.get(FieldName.EMAIL, "")))
    if domain is not None and FieldName.COMPANY_DOMAIN not in row.values:
        rated.append((FieldName.COMPANY_DOMAIN, domain, DERIVED_CONFIDENCE))
    return tuple(
        FoundValue(
            field=field,
            value=value,
            source=CSV_SOURCE,
            method=IMPORT_METHOD,
            observed_at=now,
            confidence=confidence,
            evidence_hash=evidence,
        )
        for field, value, confidence in rated
    )


def evidence_of(import_id: UUID, number: int) -> str:
    """Return the evidence hash of what a line of a file says; the line itself is stored."""
    return hashlib.sha256(f"{import_id}:{number}".encode()).hexdigest()


def name_keys(values: Mapping[FieldName, Scalar]) -> tuple[IdentityKey, ...]:
    """Return the key of a person of whom a file knows no more than name and company."""
    company = name_key(str(values.get(FieldName.COMPANY_NAME, "")))
    name = name_key(_full_name(values))
    if not name or not company or _STRONG_FIELDS & values.keys():
        return ()
    key = IdentityKey("name_company", f"{name}|{company}")
    return (key,) if len(key.value) <= MAX_KEY else ()


def _full_name(values: Mapping[FieldName, Scalar]) -> str:
    first, last = values.get(FieldName.FIRST_NAME), values.get(FieldName.LAST_NAME)
    if first and last:
        return clean_text(f"{first} {last}")
    return str(values.get(FieldName.FULL_NAME, ""))
