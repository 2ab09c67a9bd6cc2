"""The feature registry: every feature with its name, type, meaning and function.

A function returns None where the lead or the ICP does not say; that is `missing`, never 0.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.domains import FREE_MAIL
from leadflood.contracts.normalization.phones import callable_number
from leadflood.contracts.normalization.seniority import RANKS
from leadflood.contracts.values import EmailStatus, FieldName
from leadflood.domain.features.rules.job_titles import (
    SIMILAR_ENOUGH,
    department_of,
    seniority_of,
)
from leadflood.domain.features.rules.prepared_target import PreparedTarget
from leadflood.domain.features.schemas import FeatureValue
from leadflood.domain.icp.schemas import FIELD_DESCRIPTIONS, MAX_NUMBER, FieldKind, RuleField
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.engine.text import make_encodable

MAX_CHARS = 300
_PHONES = (FieldName.PHONE, FieldName.MOBILE_PHONE)
MAX_ITEMS = 200

_FREE_MAIL = FREE_MAIL | {"freemail.example"}
"""The last is the mail provider of the sandbox's people."""
ROLES = frozenset(
    """
    info sales contact office hello support help admin team mail billing accounts hr jobs marketing
    press noreply no-reply postmaster webmaster service kontakt
    """.split()  # noqa: SIM905 - a list literal would fill a page
)
_COUNTED = (
    FieldName.FULL_NAME,
    FieldName.TITLE,
    FieldName.SENIORITY,
    FieldName.EMAIL,
    FieldName.EMAIL_STATUS,
    FieldName.PHONE,
    FieldName.LINKEDIN_URL,
    FieldName.COUNTRY,
    FieldName.COMPANY_NAME,
    FieldName.COMPANY_DOMAIN,
    FieldName.COMPANY_INDUSTRY,
    FieldName.COMPANY_SIZE,
    FieldName.COMPANY_COUNTRY,
    FieldName.COMPANY_TECHNOLOGIES,
)


class FeatureSubject:
    """A lead's profile beside the ICP's target, with the values that several features need."""

    __slots__ = (
        "country",
        "domain",
        "email",
        "profile",
        "seniority",
        "target",
        "technologies",
        "title",
    )

    def __init__(self, profile: LeadProfile, target: PreparedTarget) -> None:
        self.profile = profile
        self.target = target
        self.title = self.text(FieldName.TITLE)
        self.email = self.text(FieldName.EMAIL).lower()
        self.domain = self.text(FieldName.COMPANY_DOMAIN).lower()
        self.country = self.text(FieldName.COUNTRY) or self.text(FieldName.COMPANY_COUNTRY)
        self.seniority = seniority_of(self.text(FieldName.SENIORITY), self.title)
        self.technologies = self.items(FieldName.COMPANY_TECHNOLOGIES)

    def text(self, name: FieldName) -> str:
        """Return a value as clean, short text; empty where it is unknown."""
        value = self.profile.get(name)
        if value is None:
            return ""
        if isinstance(value, str):
            return _clean(value)
        return next(iter(self.items(name)), "")

    def has(self, name: FieldName) -> bool:
        """Whether a value is known."""
        return name in self.profile.values

    def items(self, name: FieldName) -> tuple[str, ...]:
        """Return a value as a list of texts."""
        value = self.profile.get(name)
        if value is None:
            return ()
        if isinstance(value, tuple):
            return tuple(_clean(item) for item in value[:MAX_ITEMS] if item.strip())
        return (_clean(str(value)),)

    def number(self, name: FieldName) -> float | int | None:
        """Return a value as a number; None where it is none."""
        return _number_of(self.profile.get(name))


class FeatureDefinition(msgspec.Struct, frozen=True):
    """One feature; its type and words are those of the ICP's rule field of that name."""

    name: RuleField
    compute: Callable[[FeatureSubject], FeatureValue | None]

    @property
    def kind(self) -> FieldKind:
        """Its type."""
        return FIELD_DESCRIPTIONS[self.name].kind

    @property
    def doc(self) -> str:
        """The meaning, in words."""
        return FIELD_DESCRIPTIONS[self.name].words


def _title_similarity(subject: FeatureSubject) -> float | None:
    return subject.target.title_similarity(subject.title) if subject.title else None


def _title_matches(subject: FeatureSubject) -> bool | None:
    similarity = _title_similarity(subject)
    return None if similarity is None else similarity >= SIMILAR_ENOUGH


def _seniority_rank(subject: FeatureSubject) -> int | None:
    return RANKS.get(subject.seniority) if subject.seniority else None


def _department(subject: FeatureSubject) -> str | None:
    return department_of(subject.text(FieldName.DEPARTMENT), subject.title)


def _country_matches(subject: FeatureSubject) -> bool | None:
    return subject.target.has_country(subject.country) if subject.country else None


def _size_in_range(subject: FeatureSubject) -> bool | None:
    people = subject.number(FieldName.COMPANY_SIZE)
    return None if people is None else subject.target.has_size(people)


def _company_age_years(subject: FeatureSubject) -> int | None:
    """Return the age in the year of the observation: equal profiles give equal vectors."""
    founded = subject.number(FieldName.COMPANY_FOUNDED)
    if founded is None:
        return None
    observed_at: datetime = subject.profile.values[FieldName.COMPANY_FOUNDED].observed_at
    age = observed_at.year - int(founded)
    return age if 0 <= age <= 1000 else None  # noqa: PLR2004 - older is a typing error


def _industry_matches(subject: FeatureSubject) -> bool | None:
    industry = subject.text(FieldName.COMPANY_INDUSTRY)
    return subject.target.has_industry(industry) if industry else None


def _technology_match_count(subject: FeatureSubject) -> int | None:
    shared = subject.target.shared_technologies(subject.technologies)
    return shared[0] if shared and subject.technologies else None


def _technology_match_ratio(subject: FeatureSubject) -> float | None:
    shared = subject.target.shared_technologies(subject.technologies)
    return shared[1] if shared and subject.technologies else None


def _email_verified(subject: FeatureSubject) -> bool:
    return bool(subject.email) and subject.text(FieldName.EMAIL_STATUS) == EmailStatus.VALID


def _email_is_freemail(subject: FeatureSubject) -> bool | None:
    return _domain_of(subject.email) in _FREE_MAIL if subject.email else None


def _email_is_role(subject: FeatureSubject) -> bool | None:
    return subject.email.partition("@")[0] in ROLES if subject.email else None


def _email_fits_company(subject: FeatureSubject) -> bool | None:
    if not subject.email or not subject.domain:
        return None
    domain = _domain_of(subject.email)
    return domain == subject.domain or domain.endswith(f".{subject.domain}")


def _has_phone(subject: FeatureSubject) -> bool:
    """Whether a number is known that can be called; others are kept as text."""
    return any(callable_number(subject.text(field)) for field in _PHONES)


def _completeness_ratio(subject: FeatureSubject) -> float:
    return round(sum(map(subject.has, _COUNTED)) / len(_COUNTED), 4)


def _confidence_mean(subject: FeatureSubject) -> float | None:
    values = subject.profile.values.values()
    return round(sum(value.confidence for value in values) / len(values), 4) if values else None


def _source_count(subject: FeatureSubject) -> int:
    return len({value.source for value in subject.profile.values.values()})


def _text_of(name: FieldName) -> Callable[[FeatureSubject], str | None]:
    return lambda subject: subject.text(name) or None


def _number_at(name: FieldName) -> Callable[[FeatureSubject], float | int | None]:
    return lambda subject: subject.number(name)


REGISTRY: tuple[FeatureDefinition, ...] = (
    FeatureDefinition(RuleField.TITLE, _text_of(FieldName.TITLE)),
    FeatureDefinition(RuleField.TITLE_SIMILARITY, _title_similarity),
    FeatureDefinition(RuleField.TITLE_MATCHES, _title_matches),
    FeatureDefinition(RuleField.SENIORITY, lambda subject: subject.seniority),
    FeatureDefinition(RuleField.SENIORITY_RANK, _seniority_rank),
    FeatureDefinition(RuleField.DEPARTMENT, _department),
    FeatureDefinition(RuleField.COUNTRY, lambda subject: subject.country or None),
    FeatureDefinition(RuleField.CITY, _text_of(FieldName.CITY)),
    FeatureDefinition(RuleField.COUNTRY_MATCHES, _country_matches),
    FeatureDefinition(RuleField.COMPANY_NAME, _text_of(FieldName.COMPANY_NAME)),
    FeatureDefinition(RuleField.COMPANY_DOMAIN, lambda subject: subject.domain or None),
    FeatureDefinition(RuleField.COMPANY_SIZE, _number_at(FieldName.COMPANY_SIZE)),
    FeatureDefinition(RuleField.COMPANY_SIZE_IN_RANGE, _size_in_range),
    FeatureDefinition(RuleField.COMPANY_AGE_YEARS, _company_age_years),
    FeatureDefinition(RuleField.COMPANY_REVENUE, _number_at(FieldName.COMPANY_REVENUE)),
    FeatureDefinition(RuleField.INDUSTRY, _text_of(FieldName.COMPANY_INDUSTRY)),
    FeatureDefinition(RuleField.INDUSTRY_MATCHES, _industry_matches),
    FeatureDefinition(RuleField.TECHNOLOGIES, lambda subject: subject.technologies or None),
    FeatureDefinition(RuleField.TECHNOLOGY_MATCH_COUNT, _technology_match_count),
    FeatureDefinition(RuleField.TECHNOLOGY_MATCH_RATIO, _technology_match_ratio),
    FeatureDefinition(RuleField.HAS_EMAIL, lambda subject: bool(subject.email)),
    FeatureDefinition(RuleField.EMAIL_STATUS, _text_of(FieldName.EMAIL_STATUS)),
    FeatureDefinition(RuleField.EMAIL_VERIFIED, _email_verified),
    FeatureDefinition(RuleField.EMAIL_IS_FREEMAIL, _email_is_freemail),
    FeatureDefinition(RuleField.EMAIL_IS_ROLE, _email_is_role),
    FeatureDefinition(RuleField.EMAIL_FITS_COMPANY, _email_fits_company),
    FeatureDefinition(RuleField.HAS_LINKEDIN, lambda subject: subject.has(FieldName.LINKEDIN_URL)),
    FeatureDefinition(RuleField.HAS_PHONE, _has_phone),
    FeatureDefinition(RuleField.COMPLETENESS_RATIO, _completeness_ratio),
    FeatureDefinition(RuleField.CONFIDENCE_MEAN, _confidence_mean),
    FeatureDefinition(RuleField.SOURCE_COUNT, _source_count),
)


def _domain_of(email: str) -> str:
    return email.rpartition("@")[2]


def _number_of(value: Scalar | None) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
        value = int(value) if abs(value) < MAX_NUMBER and value == int(value) else value
    return value if abs(value) <= MAX_NUMBER else None


def _clean(text: str) -> str:
    """Cut a text to what a vector should hold, without lone surrogates, which UTF-8 lacks."""
    return make_encodable(text[:MAX_CHARS].strip())
