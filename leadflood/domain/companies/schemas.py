"""Companies as they are brought in, changed and shown."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.schemas.profiles import HistoryValue

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Headcount = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Year = Annotated[int, msgspec.Meta(ge=1000, le=2100)]
Words = Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=200)]


class CompanyWords(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A person's correction of a company; it wins over any provider.

    What is left out stays as it is; null says that there is no value.
    """

    name: Name | UnsetType | None = UNSET
    industry: Word | UnsetType | None = UNSET
    size: Headcount | UnsetType | None = UNSET
    country: Word | UnsetType | None = UNSET
    technologies: Words | UnsetType | None = UNSET
    founded: Year | UnsetType | None = UNSET
    revenue: Word | UnsetType | None = UNSET
    linkedin_url: Name | UnsetType | None = UNSET


class NewCompany(
    CompanyWords, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A company to add; its domain is its identity."""

    domain: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class CompanyFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of companies; None does not filter. `q` is what a person typed."""

    domain: str | None = None
    country: str | None = None
    industry: str | None = None
    q: str | None = None


class CompanyWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A window of the list: so many behind a domain (None: from the beginning), some skipped."""

    after: str | None = None
    limit: int
    offset: int = 0


class CompanySummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A company in a list; `values` are those that win."""

    id: UUID
    version: int
    domain: str
    name: str | None
    values: dict[FieldName, Scalar]
    created_at: datetime
    updated_at: datetime


class CompanyTotal(msgspec.Struct, frozen=True):
    """How many companies there are in all; exact up to 10,000, an estimate of the table beyond."""

    count: int
    is_estimate: bool


class CompanyLead(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead that works at a company."""

    id: UUID
    full_name: str | None
    title: str | None
    status: LeadStatus


class CompanyView(CompanySummary, frozen=True, kw_only=True, rename="camel"):
    """A company with all that is said of it, how many leads work there, and the first of them.

    `leadCount` counts to 10,000.
    """

    provenance: tuple[HistoryValue, ...]
    lead_count: int
    leads: tuple[CompanyLead, ...]
