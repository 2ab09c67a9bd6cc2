"""Field forms: what a person typed into a field in its one form, and what to write instead."""

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.fields import normalize
from leadflood.contracts.normalization.phones import normalize_phone
from leadflood.contracts.values import FieldName

EXPECTED = {
    FieldName.EMAIL: "write one address, as in ann@example.com",
    FieldName.PHONE: "write it with its country code, as in +49 30 123456",
    FieldName.LINKEDIN_URL: "write the profile's address, as in https://www.linkedin.com/in/ann",
    FieldName.COUNTRY: "write a country's name or its two letters, as in DE",
    FieldName.COMPANY_COUNTRY: "write a country's name or its two letters, as in DE",
    FieldName.COMPANY_DOMAIN: "write the company's own domain, as in example.com (not free mail)",
    FieldName.COMPANY_SIZE: "write a number of people or a range, as in 51-200",
}
"""The form that a field expects, where not every text will do."""


def find_region(country: Scalar | None) -> str | None:
    """Return the region of phone numbers without a country code; None: not known."""
    region = normalize(FieldName.COUNTRY, country) if country else None
    return region if isinstance(region, str) else None


def normalize_field(field: FieldName, raw: Scalar, region: str | None) -> Scalar | None:
    """Return a value in its one form; None when it is no such thing."""
    if field is FieldName.PHONE:
        return normalize_phone(str(raw), region)
    return normalize(field, raw)
