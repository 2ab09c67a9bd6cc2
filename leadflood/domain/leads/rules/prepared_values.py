"""Prepared values: each in its one form, with its evidence and rank, on a lead or its company."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from uuid import NAMESPACE_DNS, UUID, uuid5

import msgspec

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.name_parts import with_name_parts
from leadflood.domain.leads.rules.provenance import (
    encode_value,
    evidence_bytes,
    is_human,
    rank_of,
)
from leadflood.domain.leads.schemas.identity import IdentityKey

COMPANY_FIELDS = frozenset(
    {
        FieldName.COMPANY_INDUSTRY,
        FieldName.COMPANY_SIZE,
        FieldName.COMPANY_COUNTRY,
        FieldName.COMPANY_TECHNOLOGIES,
        FieldName.COMPANY_FOUNDED,
        FieldName.COMPANY_REVENUE,
        FieldName.COMPANY_LINKEDIN_URL,
    }
)
"""Fields of a company once its domain is known; where a person works belongs to the lead."""

_HUMAN_RANK = 1e6
_Evidence = tuple[str, str, str]


class StoredValue(msgspec.Struct, frozen=True):
    """A value in its one form; `company_id` None puts it on the lead."""

    found: FoundValue
    text: str
    evidence: bytes
    rank: float
    company_id: UUID | None


class PreparedValues(msgspec.Struct, frozen=True, kw_only=True):
    """A source's values of a lead, ready to be written.

    - `companies`: the name of each company by its domain; None: no name is given.
    - `company_id`, `company_rank`: where the lead works, and the rank of that value.
    - `keys`: the identity keys, where they are needed.
    """

    values: tuple[StoredValue, ...]
    companies: dict[str, str | None]
    company_id: UUID | None
    company_rank: float | None
    keys: tuple[IdentityKey, ...] = ()


@lru_cache(maxsize=65536)
def company_id_of(domain: str) -> UUID:
    """Return a company's id: it follows from the domain, so two nodes agree without asking."""
    return uuid5(NAMESPACE_DNS, domain)


def prepare_values(
    values: Iterable[FoundValue], keys: Iterable[IdentityKey] = ()
) -> PreparedValues:
    """Bring values into their one form and decide what is the company's."""
    normal = []
    domains: dict[_Evidence, str] = {}
    names: dict[_Evidence, str] = {}
    for raw in with_name_parts(values):
        pair = encode_value(raw)
        if pair is None:
            continue
        normal.append(pair)
        value = pair[0]
        if value.field is FieldName.COMPANY_DOMAIN:
            domains[_evidence(value)] = str(value.value)
        elif value.field is FieldName.COMPANY_NAME:
            names[_evidence(value)] = str(value.value)
    stored = tuple([_store(value, text, domains) for value, text in normal])
    employer = _find_employer(stored) if domains else None
    return PreparedValues(
        values=stored,
        companies={domain: names.get(evidence) for evidence, domain in domains.items()},
        company_id=None if employer is None else company_id_of(str(employer.found.value)),
        company_rank=None if employer is None else _company_rank(employer),
        keys=tuple(keys),
    )


def human_company_rank(now: datetime) -> float:
    """Return the rank of a person's word of now on where a lead works."""
    return rank_of(FieldName.COMPANY_DOMAIN, 1.0, now) + _HUMAN_RANK


def _find_employer(stored: Iterable[StoredValue]) -> StoredValue | None:
    employers = [value for value in stored if value.found.field is FieldName.COMPANY_DOMAIN]
    return max(employers, key=_company_rank, default=None)


def _store(value: FoundValue, text: str, domains: dict[_Evidence, str]) -> StoredValue:
    domain = None
    if domains and value.field in COMPANY_FIELDS:
        domain = domains.get(_evidence(value))
    return StoredValue(
        value,
        text,
        evidence_bytes(value.evidence_hash),
        rank_of(value.field, value.confidence, value.observed_at),
        None if domain is None else company_id_of(domain),
    )


def _evidence(value: FoundValue) -> _Evidence:
    return (value.source, value.method, value.evidence_hash)


def _company_rank(value: StoredValue) -> float:
    return value.rank + (_HUMAN_RANK if is_human(value.found.source) else 0.0)
