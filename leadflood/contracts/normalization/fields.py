"""Fields: the one form of a value of each field."""

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.countries import country_code
from leadflood.contracts.normalization.domains import company_domain, company_page
from leadflood.contracts.normalization.emails import normalize_email
from leadflood.contracts.normalization.names import is_form_of_address
from leadflood.contracts.normalization.numbers import people_count
from leadflood.contracts.normalization.phones import normalize_phone
from leadflood.contracts.normalization.profiles import (
    normalize_company_linkedin,
    normalize_linkedin,
)
from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.values import EmailStatus, FieldName


def normalize(field: FieldName, value: Scalar) -> Scalar | None:
    """Return a field's value in its one form; None when there is nothing worth keeping."""
    form = _FORMS.get(field)
    if form is not None:
        return form(value)
    if isinstance(value, str):
        is_no_job = field is FieldName.TITLE and is_form_of_address(value)
        return None if is_no_job else clean_text(value) or None
    if isinstance(value, tuple):
        texts = tuple(dict.fromkeys(text for item in value if (text := clean_text(item))))
        return texts or None
    return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124 - NaN is what differs from itself


def field_of(field: FieldName, value: Scalar) -> FieldName:
    """Return the field that a value belongs to: a page on a shared host is no domain."""
    if field is FieldName.COMPANY_DOMAIN and company_page(_text_form(value)) is not None:
        return FieldName.COMPANY_PAGE
    return field


def _text_form(value: Scalar) -> str:
    return value if isinstance(value, str) else str(value)


def _email_status(value: Scalar) -> str | None:
    text = _text_form(value).casefold()
    return text if text in set(EmailStatus) else None


def _country(value: Scalar) -> str | None:
    return country_code(clean_text(_text_form(value))[:80])


_FORMS = {
    FieldName.EMAIL: lambda value: normalize_email(_text_form(value)),
    FieldName.EMAIL_STATUS: _email_status,
    FieldName.PHONE: lambda value: (
        normalize_phone(_text_form(value)) or clean_text(_text_form(value)) or None
    ),
    FieldName.LINKEDIN_URL: lambda value: normalize_linkedin(_text_form(value)),
    FieldName.COMPANY_LINKEDIN_URL: lambda value: normalize_company_linkedin(_text_form(value)),
    FieldName.COMPANY_DOMAIN: lambda value: company_domain(_text_form(value)),
    FieldName.COMPANY_PAGE: lambda value: company_page(_text_form(value)),
    FieldName.COUNTRY: _country,
    FieldName.COMPANY_COUNTRY: _country,
    FieldName.COMPANY_SIZE: people_count,
}
