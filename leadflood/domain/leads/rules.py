"""What people bring in by hand or by file, as values with their evidence. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

import msgspec

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.leads.canon import (
    canonical,
    canonical_phone,
    clean_text,
    domain_of_email,
)
from leadflood.domain.leads.schemas import API_SOURCE, LeadInput
from leadflood.engine.errors import FieldProblem

TOLD = 0.9
"""How sure is what a customer's own records say: better than a guess, worse than a check."""
DERIVED = 0.7
"""How sure is a company's domain that was only read off an address."""

_FIELDS = {
    "email": FieldName.EMAIL,
    "first_name": FieldName.FIRST_NAME,
    "last_name": FieldName.LAST_NAME,
    "full_name": FieldName.FULL_NAME,
    "title": FieldName.TITLE,
    "phone": FieldName.PHONE,
    "linkedin_url": FieldName.LINKEDIN_URL,
    "city": FieldName.CITY,
    "country": FieldName.COUNTRY,
    "company_name": FieldName.COMPANY_NAME,
    "company_domain": FieldName.COMPANY_DOMAIN,
    "company_industry": FieldName.COMPANY_INDUSTRY,
    "company_size": FieldName.COMPANY_SIZE,
    "company_country": FieldName.COMPANY_COUNTRY,
    "company_technologies": FieldName.COMPANY_TECHNOLOGIES,
}
_EXPECTED = {
    FieldName.EMAIL: "write one address, as in ann@example.com",
    FieldName.PHONE: "write it with its country code, as in +49 30 123456",
    FieldName.LINKEDIN_URL: "write the profile's address, as in https://www.linkedin.com/in/ann",
    FieldName.COUNTRY: "write a country's name or its two letters, as in DE",
    FieldName.COMPANY_COUNTRY: "write a country's name or its two letters, as in DE",
    FieldName.COMPANY_DOMAIN: "write the company's own domain, as in example.com (not free mail)",
    FieldName.COMPANY_SIZE: "write a number of people or a range, as in 51-200",
}


def read_input(given: LeadInput) -> tuple[dict[FieldName, Scalar], tuple[FieldProblem, ...]]:
    """Tell what an API caller says of a lead, and what is wrong with it."""
    values: dict[FieldName, Scalar] = {}
    problems: list[FieldProblem] = []
    region = canonical(FieldName.COUNTRY, given.country)
    for name, field in _FIELDS.items():
        told = getattr(given, name)
        if told in {"", ()}:
            continue
        value = _canonical(field, told, region if isinstance(region, str) else None)
        if value is not None:
            values[field] = value
        elif field in _EXPECTED:
            problems.append(FieldProblem(_camel(name), _EXPECTED[field]))
    channels = [one if isinstance(one, str) else one.channel for one in given.opt_in]
    problems += [
        FieldProblem("optIn", f"{channel!r} is no channel: use email, whatsapp or sms")
        for channel in channels
        if channel not in set(Channel)
    ]
    if len(set(channels)) < len(channels):
        problems.append(FieldProblem("optIn", "name each channel once"))
    if not problems and not _tells_who(values):
        problems.append(
            FieldProblem(
                "email", "give an e-mail, a LinkedIn address, or a name with the company's domain"
            )
        )
    return values, tuple(problems)


def found_in_input(
    given: LeadInput, values: Mapping[FieldName, Scalar], now: datetime
) -> tuple[FoundValue, ...]:
    """Give what an API caller says its evidence: the request itself."""
    evidence = hashlib.sha256(msgspec.json.encode(given)).hexdigest()
    return _found(values, API_SOURCE, "leads.create", evidence, now)


def _found(
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


def _canonical(field: FieldName, told: Scalar, region: str | None) -> Scalar | None:
    if field is FieldName.PHONE:
        return canonical_phone(str(told), region)
    return canonical(field, told)


def _tells_who(values: Mapping[FieldName, Scalar]) -> bool:
    if FieldName.EMAIL in values or FieldName.LINKEDIN_URL in values:
        return True
    return bool(_name(values)) and FieldName.COMPANY_DOMAIN in values


def _name(values: Mapping[FieldName, Scalar]) -> str:
    first, last = values.get(FieldName.FIRST_NAME), values.get(FieldName.LAST_NAME)
    if first and last:
        return clean_text(f"{first} {last}")
    return str(values.get(FieldName.FULL_NAME, ""))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
