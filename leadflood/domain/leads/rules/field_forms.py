"""Field forms: what to write into a field, and the region of its phone numbers."""

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.cells import ReadCell, read_value
from leadflood.contracts.normalization.phones import callable_number
from leadflood.contracts.values import FieldName

EXPECTED = {
    FieldName.EMAIL: "write one address, as in ann@example.com",
    FieldName.PHONE: "write it with its country code, as in +49 30 123456",
    FieldName.MOBILE_PHONE: "write it with its country code, as in +49 171 1234567",
    FieldName.LINKEDIN_URL: "write the address of a person's profile, as in"
    " https://www.linkedin.com/in/ann",
    FieldName.COUNTRY: "write a country's name or its two letters, as in DE",
    FieldName.COMPANY_COUNTRY: "write a country's name or its two letters, as in DE",
    FieldName.COMPANY_DOMAIN: "write the company's own domain, as in example.com, or its page",
    FieldName.COMPANY_SIZE: "write a number of people or a range, as in 51-200",
}
"""The form that a field expects, where not every text will do."""

_PHONES = (FieldName.PHONE, FieldName.MOBILE_PHONE)


def find_region(country: Scalar | None) -> str | None:
    """Return the region of phone numbers without a country code; None: not known."""
    region = read_value(FieldName.COUNTRY, country) if country else None
    return region if isinstance(region, str) else None


def problem_of(field: FieldName, cell: ReadCell) -> str | None:
    """Return what is wrong with a cell that a person can write anew; None: it is good.

    In a file a second address or a number that nobody can call is kept with a note; whoever types
    it is told.
    """
    expected = EXPECTED.get(field)
    if expected is None:
        return None
    is_text = field in _PHONES and callable_number(str(cell.value)) is None
    if cell.value is not None and not is_text and not cell.others:
        return None
    return f"{cell.note}: {expected}" if cell.note else expected
