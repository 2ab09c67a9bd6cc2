"""Fields: which field a value belongs to."""

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.domains import company_page
from leadflood.contracts.values import FieldName


def field_of(field: FieldName, value: Scalar) -> FieldName:
    """Return the field that a value belongs to: a page on a shared host is no domain."""
    if (
        field is FieldName.COMPANY_DOMAIN
        and company_page(value if isinstance(value, str) else str(value)) is not None
    ):
        return FieldName.COMPANY_PAGE
    return field
