"""Field forms: what to write into a field, and the region of its phone numbers."""

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.cells import read_value
from leadflood.contracts.values import FieldName

EXPECTED = {
    FieldName.EMAIL: "write one address, as in ann@example.com",
    FieldName.PHONE: "write it with its country code, as in +49 30 123456",
    FieldName.LINKEDIN_URL: "write the address of a person's profile, as in"
    " https://www.linkedin.com/in/ann",
    FieldName.COUNTRY: "write a country's name or its two letters, as in DE",
    FieldName.COMPANY_COUNTRY: "write a country's name or its two letters, as in DE",
    FieldName.COMPANY_DOMAIN: "write the company's own domain, as in example.com (not free mail)",
    FieldName.COMPANY_SIZE: "write a number of people or a range, as in 51-200",
}
"""The form that a field expects, where not every text will do."""


def find_region(country: Scalar | None) -> str | None:
    """Return the region of phone numbers without a country code; None: not known."""
    region = read_value(FieldName.COUNTRY, country) if country else None
    return region if isinstance(region, str) else None
