"""Ideal customer profiles (ICPs): whom we look for, and the rules that score them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.contracts.ports.people import PeopleQuery

MAX_NUMBER = 1e15
"""Numbers beyond are typing errors: they are refused in rules and not known in leads."""

SCORE_MILLI_MAX = 100_000
"""A score of 100, in 1/1000 points."""


class FieldKind(StrEnum):
    """The type of a feature's values; decides which operators make sense."""

    NUMBER = "number"
    FLAG = "flag"
    CATEGORY = "category"
    TEXT = "text"
    LIST = "list"


class RuleField(StrEnum):
    """Every feature a rule may ask about. The features slice computes exactly these."""

    TITLE = "title"
    TITLE_SIMILARITY = "title_similarity"
    TITLE_MATCHES = "title_matches"
    SENIORITY = "seniority"
    SENIORITY_RANK = "seniority_rank"
    DEPARTMENT = "department"
    COUNTRY = "country"
    CITY = "city"
    COUNTRY_MATCHES = "country_matches"
    COMPANY_NAME = "company_name"
    COMPANY_DOMAIN = "company_domain"
    COMPANY_SIZE = "company_size"
    COMPANY_SIZE_IN_RANGE = "company_size_in_range"
    COMPANY_AGE_YEARS = "company_age_years"
    COMPANY_REVENUE = "company_revenue"
    INDUSTRY = "industry"
    INDUSTRY_MATCHES = "industry_matches"
    TECHNOLOGIES = "technologies"
    TECHNOLOGY_MATCH_COUNT = "technology_match_count"
    TECHNOLOGY_MATCH_RATIO = "technology_match_ratio"
    HAS_EMAIL = "has_email"
    EMAIL_STATUS = "email_status"
    EMAIL_VERIFIED = "email_verified"
    EMAIL_IS_FREEMAIL = "email_is_freemail"
    EMAIL_IS_ROLE = "email_is_role"
    EMAIL_FITS_COMPANY = "email_fits_company"
    HAS_LINKEDIN = "has_linkedin"
    HAS_PHONE = "has_phone"
    COMPLETENESS_RATIO = "completeness_ratio"
    CONFIDENCE_MEAN = "confidence_mean"
    SOURCE_COUNT = "source_count"


class FieldDescription(msgspec.Struct, frozen=True):
    """A field as a rule's author and a score's reader need it.

    `words` name it in a sentence.
    `basis` is the field that a person would look at instead of this derived one.
    """

    kind: FieldKind
    words: str
    basis: RuleField | None = None


FIELD_DESCRIPTIONS: dict[RuleField, FieldDescription] = {
    RuleField.TITLE: FieldDescription(FieldKind.TEXT, "title"),
    RuleField.TITLE_SIMILARITY: FieldDescription(
        FieldKind.NUMBER, "likeness of the title to the titles wanted (0 to 1)", RuleField.TITLE
    ),
    RuleField.TITLE_MATCHES: FieldDescription(
        FieldKind.FLAG, "title is one of those wanted", RuleField.TITLE
    ),
    RuleField.SENIORITY: FieldDescription(FieldKind.CATEGORY, "seniority", RuleField.TITLE),
    RuleField.SENIORITY_RANK: FieldDescription(
        FieldKind.NUMBER, "rank of the seniority (0 intern to 9 owner)", RuleField.SENIORITY
    ),
    RuleField.DEPARTMENT: FieldDescription(FieldKind.CATEGORY, "department", RuleField.TITLE),
    RuleField.COUNTRY: FieldDescription(FieldKind.CATEGORY, "country"),
    RuleField.CITY: FieldDescription(FieldKind.TEXT, "city"),
    RuleField.COUNTRY_MATCHES: FieldDescription(
        FieldKind.FLAG, "country is one of those wanted", RuleField.COUNTRY
    ),
    RuleField.COMPANY_NAME: FieldDescription(FieldKind.TEXT, "company name"),
    RuleField.COMPANY_DOMAIN: FieldDescription(FieldKind.TEXT, "company domain"),
    RuleField.COMPANY_SIZE: FieldDescription(FieldKind.NUMBER, "company size"),
    RuleField.COMPANY_SIZE_IN_RANGE: FieldDescription(
        FieldKind.FLAG, "company size is in the range wanted", RuleField.COMPANY_SIZE
    ),
    RuleField.COMPANY_AGE_YEARS: FieldDescription(FieldKind.NUMBER, "company age in years"),
    RuleField.COMPANY_REVENUE: FieldDescription(FieldKind.NUMBER, "company revenue"),
    RuleField.INDUSTRY: FieldDescription(FieldKind.TEXT, "industry"),
    RuleField.INDUSTRY_MATCHES: FieldDescription(
        FieldKind.FLAG, "industry is one of those wanted", RuleField.INDUSTRY
    ),
    RuleField.TECHNOLOGIES: FieldDescription(FieldKind.LIST, "technologies"),
    RuleField.TECHNOLOGY_MATCH_COUNT: FieldDescription(
        FieldKind.NUMBER, "number of wanted technologies in use", RuleField.TECHNOLOGIES
    ),
    RuleField.TECHNOLOGY_MATCH_RATIO: FieldDescription(
        FieldKind.NUMBER, "share of the wanted technologies in use (0 to 1)", RuleField.TECHNOLOGIES
    ),
    RuleField.HAS_EMAIL: FieldDescription(FieldKind.FLAG, "an e-mail address is known"),
    RuleField.EMAIL_STATUS: FieldDescription(FieldKind.CATEGORY, "status of the e-mail address"),
    RuleField.EMAIL_VERIFIED: FieldDescription(
        FieldKind.FLAG, "the e-mail address is verified", RuleField.EMAIL_STATUS
    ),
    RuleField.EMAIL_IS_FREEMAIL: FieldDescription(
        FieldKind.FLAG, "the e-mail address is a free-mail one"
    ),
    RuleField.EMAIL_IS_ROLE: FieldDescription(
        FieldKind.FLAG, "the e-mail address is a role's (info@, sales@)"
    ),
    RuleField.EMAIL_FITS_COMPANY: FieldDescription(
        FieldKind.FLAG, "the e-mail address is at the company's domain"
    ),
    RuleField.HAS_LINKEDIN: FieldDescription(FieldKind.FLAG, "a LinkedIn profile is known"),
    RuleField.HAS_PHONE: FieldDescription(FieldKind.FLAG, "a phone number is known"),
    RuleField.COMPLETENESS_RATIO: FieldDescription(
        FieldKind.NUMBER, "share of the profile that is known (0 to 1)"
    ),
    RuleField.CONFIDENCE_MEAN: FieldDescription(
        FieldKind.NUMBER, "mean confidence of the profile's values (0 to 1)"
    ),
    RuleField.SOURCE_COUNT: FieldDescription(FieldKind.NUMBER, "number of sources of the profile"),
}


class RuleKind(StrEnum):
    """WEIGHTED adds points when it is met; a HARD_FILTER that is not met makes the score 0."""

    WEIGHTED = "WEIGHTED"
    HARD_FILTER = "HARD_FILTER"


class Operator(StrEnum):
    """Operators of rules. Text is compared without regard to case and outer spaces.

    A missing value meets `NEQ`, `NOT_IN` (nothing speaks against it) and `EXISTS = false`, and
    no other operator: add `EXISTS` where the value must be known.
    `CONTAINS`: a text holds the words, a list holds the item (all items of a list given).
    `IN` on a list: it holds one of the items. `BETWEEN` takes [least, most], both included.
    `MATCHES` is an RE2 regular expression found anywhere, without regard to case.
    """

    EQ = "EQ"
    NEQ = "NEQ"
    IN = "IN"
    NOT_IN = "NOT_IN"
    GT = "GT"
    GTE = "GTE"
    LT = "LT"
    LTE = "LTE"
    BETWEEN = "BETWEEN"
    CONTAINS = "CONTAINS"
    EXISTS = "EXISTS"
    MATCHES = "MATCHES"


RuleScalar = str | int | float | bool
RuleValue = RuleScalar | tuple[RuleScalar, ...]


class QualificationRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule. `weight` counts for WEIGHTED rules only, relative to the other weights."""

    kind: RuleKind = RuleKind.WEIGHTED
    field: RuleField
    operator: Operator
    value: RuleValue = True
    weight: Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)] = 1.0


class Autopilot(StrEnum):
    """The autopilot of an ICP: whose drafts go without a person's approval."""

    OFF = "off"
    HIGH = "high"


Points = Annotated[float, msgspec.Meta(gt=0.0, le=100.0)]


class Bands(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From how many points on a score is MEDIUM or HIGH; below it is LOW."""

    medium: Points = 40.0
    high: Points = 70.0

    @property
    def medium_milli(self) -> int:
        """The first score of MEDIUM in 1/1000 points."""
        return max(1, round(self.medium * 1000))

    @property
    def high_milli(self) -> int:
        """The first score of HIGH in 1/1000 points."""
        return max(1, round(self.high * 1000))


Size = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom we look for. Empty asks for nothing in particular; None leaves that end open.

    `countries` are codes where the ICP was checked, and names or codes before.
    """

    titles: tuple[str, ...] = ()
    industries: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    technologies: tuple[str, ...] = ()
    company_size_min: Size | None = None
    company_size_max: Size | None = None
    keywords: str = ""


class IcpInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An ICP as a person writes it. Without WEIGHTED rules the target makes them."""

    name: str
    offer: str = ""
    autopilot: Autopilot = Autopilot.OFF
    target: Target = Target()
    bands: Bands = Bands()
    rules: tuple[QualificationRule, ...] = ()


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON in `icp_profile.definition`; other slices read it by their own queries."""

    autopilot: Autopilot
    target: Target
    bands: Bands


class Icp(msgspec.Struct, frozen=True, kw_only=True):
    """One version of an ICP.

    `id` names the version, `profile_id` the ICP.
    `rules` are those in force, in order, default rules included.
    `archived_at` is None while the ICP is in use.
    """

    id: UUID
    profile_id: UUID
    version: int
    name: str
    offer: str
    autopilot: Autopilot
    target: Target
    bands: Bands
    rules: tuple[QualificationRule, ...]
    created_at: datetime
    archived_at: datetime | None = None


class IcpFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of ICPs; an empty `name_part` matches all names."""

    name_part: str = ""
    is_archived: bool = False


class ExpectedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The version that an editor saw; None: any.

    `version` came in the body; another one is a conflict.
    `if_match` came in the header; another one is a failed precondition.
    """

    version: int | None = None
    if_match: int | None = None


def people_query(icp: Icp | IcpInput) -> PeopleQuery:
    """Return the query by which discovery looks for the people of an ICP."""
    target = icp.target
    sizes: tuple[tuple[int, int], ...] = ()
    if target.company_size_min is not None or target.company_size_max is not None:
        least = target.company_size_min or 1
        sizes = ((least, target.company_size_max or 100_000_000),)
    return PeopleQuery(
        titles=target.titles,
        countries=target.countries,
        industries=target.industries,
        technologies=target.technologies,
        company_sizes=sizes,
        keywords=target.keywords,
    )
