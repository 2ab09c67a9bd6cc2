"""Values on their way into the database, each with its evidence, on a lead or on its company."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from uuid import NAMESPACE_DNS, UUID, uuid5

import msgspec

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.provenance import encode_value, evidence_bytes, is_human, rank_of
from leadflood.domain.leads.schemas import IdentityKey
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)

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
"""What belongs to a company once its domain is known; where a person works belongs to the lead."""

_HUMAN_RANK = 1e6
_Evidence = tuple[str, str, str]


class StoredValue(msgspec.Struct, frozen=True):
    """A value in its one form; `company_id` None puts it on the lead."""

    found: FoundValue
    text: str
    evidence: bytes
    rank: float
    company_id: UUID | None


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said of a lead, ready to be written.

    - `companies`: the name of each company by its domain; None: not said.
    - `company_id`, `company_rank`: where the lead works, and how much that word weighs.
    - `keys`: what tells who the lead is, where that is asked.
    """

    values: tuple[StoredValue, ...]
    companies: dict[str, str | None]
    company_id: UUID | None
    company_rank: float | None
    keys: tuple[IdentityKey, ...] = ()


@lru_cache(maxsize=65536)
def company_id_of(domain: str) -> UUID:
    """Tell a company's id: it follows from the domain, so two nodes agree without asking."""
    return uuid5(NAMESPACE_DNS, domain)


def prepare(values: Iterable[FoundValue], keys: Iterable[IdentityKey] = ()) -> Prepared:
    """Bring values into their one form and decide what is the company's."""
    kept = []
    domains: dict[_Evidence, str] = {}
    names: dict[_Evidence, str] = {}
    for told in values:
        pair = encode_value(told)
        if pair is None:
            continue
        kept.append(pair)
        found = pair[0]
        if found.field is FieldName.COMPANY_DOMAIN:
            domains[_evidence(found)] = str(found.value)
        elif found.field is FieldName.COMPANY_NAME:
            names[_evidence(found)] = str(found.value)
    stored = tuple([_stored(found, text, domains) for found, text in kept])
    best = None
    if domains:
        employers = [one for one in stored if one.found.field is FieldName.COMPANY_DOMAIN]
        best = max(employers, key=_company_rank)
    return Prepared(
        values=stored,
        companies={domain: names.get(evidence) for evidence, domain in domains.items()},
        company_id=None if best is None else company_id_of(str(best.found.value)),
        company_rank=None if best is None else _company_rank(best),
        keys=tuple(keys),
    )


async def write_companies(tx: Tx, told: Sequence[Prepared], now: datetime) -> None:
    """Add the companies named, sorted by domain."""
    seen: dict[str, str | None] = {}
    for said in told:
        for domain, name in said.companies.items():
            seen[domain] = seen.get(domain) or name
    if seen:
        ordered = sorted(seen)
        await tx.execute(
            SQL.add_companies,
            ids=[company_id_of(domain) for domain in ordered],
            domains=ordered,
            names=[seen[domain] for domain in ordered],
            now=now,
        )


async def write_values(
    tx: Tx, told: Sequence[tuple[UUID, Prepared]], ids: Ids, now: datetime
) -> None:
    """Write values in the order of their keys; the same evidence twice is one row."""
    rows: dict[tuple[int, str, str, str, bytes], tuple[UUID, StoredValue]] = {}
    for lead_id, said in told:
        for one in said.values:
            subject = (one.company_id or lead_id).int
            found = one.found
            key = (subject, found.field, found.source, found.method, one.evidence)
            known = rows.get(key)
            if known is None or known[1].found.observed_at < found.observed_at:
                rows[key] = (lead_id, one)
    if not rows:
        return
    ordered = [rows[key] for key in sorted(rows)]
    found_values = [one.found for _, one in ordered]
    await tx.execute(
        SQL.add_values,
        ids=ids.take(len(ordered)),
        lead_ids=[lead_id if one.company_id is None else None for lead_id, one in ordered],
        company_ids=[one.company_id for _, one in ordered],
        fields=[found.field for found in found_values],
        values=[one.text for _, one in ordered],
        sources=[found.source for found in found_values],
        methods=[found.method for found in found_values],
        evidence=[one.evidence for _, one in ordered],
        observed_at=[found.observed_at for found in found_values],
        confidences=[found.confidence for found in found_values],
        costs_micros=[found.cost_micros for found in found_values],
        ranks=[one.rank for _, one in ordered],
        humans=[is_human(found.source) for found in found_values],
        now=now,
    )


def human_company_rank(now: datetime) -> float:
    """Tell how much a person's word of now weighs on where a lead works."""
    return rank_of(FieldName.COMPANY_DOMAIN, 1.0, now) + _HUMAN_RANK


def _stored(found: FoundValue, text: str, domains: dict[_Evidence, str]) -> StoredValue:
    domain = None
    if domains and found.field in COMPANY_FIELDS:
        domain = domains.get(_evidence(found))
    return StoredValue(
        found,
        text,
        evidence_bytes(found.evidence_hash),
        rank_of(found.field, found.confidence, found.observed_at),
        None if domain is None else company_id_of(domain),
    )


def _evidence(found: FoundValue) -> _Evidence:
    return (found.source, found.method, found.evidence_hash)


def _company_rank(one: StoredValue) -> float:
    return one.rank + (_HUMAN_RANK if is_human(one.found.source) else 0.0)
