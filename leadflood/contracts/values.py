"""Constrained values with a name, each defined once."""

from enum import StrEnum
from typing import Annotated

import msgspec

Micros = Annotated[int, msgspec.Meta(ge=0)]
"""Money: 10⁻⁶ of the one currency in settings."""

Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

CountryCode = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""


class EmailStatus(StrEnum):
    """How sure it is that mail to an address arrives."""

    VALID = "valid"
    CATCH_ALL = "catch_all"
    UNKNOWN = "unknown"
    INVALID = "invalid"


class Band(StrEnum):
    """The meaning of a score to a sales person."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"
    WHATSAPP = "whatsapp"
    SMS = "sms"


class OptOutChannel(StrEnum):
    """What a person said no to; `phone` is every channel to their number."""

    EMAIL = "email"
    PHONE = "phone"
    WHATSAPP = "whatsapp"
    ALL = "all"


class FieldName(StrEnum):
    """Every value a lead or a company may have; `company_*` belong to the company."""

    FULL_NAME = "full_name"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    TITLE = "title"
    SENIORITY = "seniority"
    DEPARTMENT = "department"
    EMAIL = "email"
    EMAIL_STATUS = "email_status"
    PHONE = "phone"
    MOBILE_PHONE = "mobile_phone"
    LINKEDIN_URL = "linkedin_url"
    CITY = "city"
    REGION = "region"
    COUNTRY = "country"
    COMPANY_NAME = "company_name"
    COMPANY_DOMAIN = "company_domain"
    COMPANY_PAGE = "company_page"
    COMPANY_INDUSTRY = "company_industry"
    COMPANY_SIZE = "company_size"
    COMPANY_COUNTRY = "company_country"
    COMPANY_TECHNOLOGIES = "company_technologies"
    COMPANY_FOUNDED = "company_founded"
    COMPANY_REVENUE = "company_revenue"
    COMPANY_LINKEDIN_URL = "company_linkedin_url"


class SendsPolicy(StrEnum):
    """The sending that a run allows."""

    NEVER = "never"
    HOLD = "hold"
    GO = "go"
