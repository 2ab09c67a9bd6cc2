"""Columns of exports: their headers, and what each holds of a lead. Headers stay as they are."""

from collections.abc import Sequence
from typing import Any

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.lead_columns import ATTRIBUTES, OWNER_EMAIL, VALUES, camel
from leadflood.contracts.values import FieldName
from leadflood.domain.lead_views.schemas import ExportedLead
from leadflood.engine.errors import Invalid

ALL = "all"
DEFAULT = (
    "id",
    "status",
    "failedCode",
    "fullName",
    "title",
    "email",
    "companyName",
    "companyDomain",
    "country",
    "score",
    "band",
    "icpId",
    "runId",
    "scoredAt",
    "source",
    "owner",
    "tags",
    "createdAt",
    "updatedAt",
)
"""The columns of an export that asks for none."""
LISTED = (
    FieldName.FULL_NAME,
    FieldName.TITLE,
    FieldName.EMAIL,
    FieldName.COMPANY_NAME,
    FieldName.COMPANY_DOMAIN,
    FieldName.COUNTRY,
)
"""The values that a list of leads brings along; its columns have their names."""


COLUMNS = ("id", "status", "failedCode", *VALUES, *DEFAULT[9:16], OWNER_EMAIL, *DEFAULT[16:])
"""All columns, in the order in which they stand."""


def read_columns(text: str) -> tuple[str, ...]:
    """Return the columns that are asked for, in their own order; `id` is always one.

    Raises: Invalid when there is no such column.
    """
    if not text:
        return DEFAULT
    names = {name.strip() for name in text.split(",") if name.strip()}
    names = {camel(name) if "_" in name else name for name in names}
    unknown = names - {*COLUMNS, ALL}
    if unknown:
        raise Invalid.field(
            "fields",
            f"{min(unknown)!r} is not known: use {ALL}, or some of {', '.join(COLUMNS)}",
            code="leads.export.fields",
        )
    return tuple(name for name in COLUMNS if name in names or ALL in names or name == "id")


def needs_values(columns: Sequence[str]) -> bool:
    """Whether columns hold values that a list of leads does not bring along."""
    return any(name in VALUES and VALUES[name] not in LISTED for name in columns)


def value_of(lead: ExportedLead, column: str) -> Scalar | None:
    """Return what a column holds of a lead: a text, a number, a list of texts, or nothing."""
    if column == OWNER_EMAIL:
        return lead.owner_email
    if column in VALUES:
        field = VALUES[column]
        return lead.summary.values.get(field) if field in LISTED else lead.values.get(field)
    value: Any = msgspec.to_builtins(getattr(lead.summary, ATTRIBUTES[column]))
    return tuple(value) if isinstance(value, list) else value
