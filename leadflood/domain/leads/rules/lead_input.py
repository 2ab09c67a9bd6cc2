"""What people bring in by hand or by file, as values with their evidence. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.normalization import (
    clean_text,
    domain_of_email,
    name_key,
)
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.leads.rules.field_forms import EXPECTED, find_region, normalize_field
from leadflood.domain.leads.rules.identity import MAX_KEY
from leadflood.domain.leads.schemas import API_SOURCE, IdentityKey, ImportRow, LeadInput
from leadflood.engine.errors import FieldProblem

CSV_SOURCE = "csv"
IMPORT_METHOD = "import"
TOLD = 0.9
"""How sure is what a customer's own records say: better than a guess, worse than a check."""
DERIVED = 0.7
"""How sure is a company's domain that was only read off an address."""

_FIELDS = {name: FieldName(name) for name in LeadInput.__struct_fields__ if name in set(FieldName)}


def normalize_input(lead: LeadInput) -> tuple[dict[FieldName, Scalar], tuple[FieldProblem, ...]]:
    """Return the values that a caller gives for a new lead, and what is wrong with them."""
    values: dict[FieldName, Scalar] = {}
    problems: list[FieldProblem] = []
    region = find_region(lead.country)
    for name, field in _FIELDS.items():
        raw = getattr(lead, name)
        if raw in {"", ()}:
            continue
        value = normalize_field(field, raw, region)
        if value is not None:
            values[field] = value
        elif field in EXPECTED:
            problems.append(FieldProblem(_camel_case(name), EXPECTED[field]))
    problems += _check_channels(lead)
    if not problems and not _identifies(values):
        expected = "give an e-mail, a LinkedIn address, or a name with the company's domain"
        problems.append(FieldProblem("email", expected))
    return values, tuple(problems)


def as_values(
    lead: LeadInput, values: Mapping[FieldName, Scalar], now: datetime
) -> tuple[FoundValue, ...]:
    """Return what a caller says with its evidence: the request itself."""
    evidence = hashlib.sha256(msgspec.json.encode(lead)).hexdigest()
    return _with_evidence(values, API_SOURCE, "leads.create", evidence, now)


def found_in_row(row: ImportRow, import_id: UUID, now: datetime) -> tuple[FoundValue, ...]:
    """Return what a row says with its evidence: the line of the file."""
    evidence = evidence_of_row(import_id, row.number)
    return _with_evidence(row.values, CSV_SOURCE, IMPORT_METHOD, evidence, now)


def evidence_of_row(import_id: UUID, number: int) -> str:
    """Return the evidence of what a line of an imported file says; the line itself is kept."""
    return hashlib.sha256(f"{import_id}:{number}".encode()).hexdigest()


def keys_of_row(row: ImportRow) -> tuple[IdentityKey, ...]:
    """Return the key of a person of whom a file knows no more than name and company."""
    company = name_key(str(row.values.get(FieldName.COMPANY_NAME, "")))
    name = name_key(_name(row.values))
    strong = {FieldName.EMAIL, FieldName.LINKEDIN_URL, FieldName.COMPANY_DOMAIN}
    if not name or not company or strong & row.values.keys():
        return ()
    key = IdentityKey("name_company", f"{name}|{company}")
    return (key,) if len(key.value) <= MAX_KEY else ()


def _with_evidence(
    values: Mapping[FieldName, Scalar], source: str, method: str, evidence: str, now: datetime
) -> tuple[FoundValue, ...]:
    found = [
        FoundValue(
            field=field,
            value=value,
            source=source,
            method=method,
            observed_at=now,
            confidence=TOLD,
            evidence_hash=evidence,
        )
        for field, value in values.items()
    ]
    domain = domain_of_email(str(values.get(FieldName.EMAIL, "")))
    if domain is not None and FieldName.COMPANY_DOMAIN not in values:
        found.append(
            FoundValue(
                field=FieldName.COMPANY_DOMAIN,
                value=domain,
                source=source,
                method=method,
                observed_at=now,
                confidence=DERIVED,
                evidence_hash=evidence,
            )
        )
    return tuple(found)


def _check_channels(lead: LeadInput) -> list[FieldProblem]:
    channels = [opt_in if isinstance(opt_in, str) else opt_in.channel for opt_in in lead.opt_in]
    problems = [
        FieldProblem("optIn", f"{channel!r} is no channel: use email, whatsapp or sms")
        for channel in channels
        if channel not in set(Channel)
    ]
    if len(set(channels)) < len(channels):
        problems.append(FieldProblem("optIn", "name each channel once"))
    return problems


def _identifies(values: Mapping[FieldName, Scalar]) -> bool:
    """Whether the values tell who the lead is."""
    if FieldName.EMAIL in values or FieldName.LINKEDIN_URL in values:
        return True
    return bool(_name(values)) and FieldName.COMPANY_DOMAIN in values


def _name(values: Mapping[FieldName, Scalar]) -> str:
    first, last = values.get(FieldName.FIRST_NAME), values.get(FieldName.LAST_NAME)
    if first and last:
        return clean_text(f"{first} {last}")
    return str(values.get(FieldName.FULL_NAME, ""))


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
