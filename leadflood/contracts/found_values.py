"""Found values: a value with its evidence, as providers give it and slices keep it."""

from datetime import datetime

import msgspec

from leadflood.contracts.values import FieldName, Micros, Probability

FOUND_BY_NAME = ":by_name"
"""The end of a method that asked by a name and a company: its answer proves no more than these."""

Scalar = str | int | float | bool | tuple[str, ...]
"""The values a field may hold; lists are of strings. `company_size` is a number of people."""


class FoundValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One value and its source.

    Attributes:
        field: Which field it is a value of.
        value: The value, cleaned.
        source: The provider, or `csv` or `user`.
        method: The operation of the provider (`people.match`).
        observed_at: When the source gave it.
        confidence: How likely it is right.
        evidence_hash: The SHA-256, in hex, of the raw answer.
        cost_micros: This value's share of the answer's cost.
        is_normal: Whether the value is in its one form already: `read_cell` gave it.
    """

    field: FieldName
    value: Scalar
    source: str
    method: str
    observed_at: datetime
    confidence: Probability
    evidence_hash: str
    cost_micros: Micros = 0
    is_normal: bool = False

    @property
    def is_found_by_name(self) -> bool:
        """Whether it was asked for by what several people may share."""
        return self.method.endswith(FOUND_BY_NAME)


class FoundPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person as one provider knows them; `provider_id` is the provider's id of the person."""

    provider: str
    provider_id: str
    values: tuple[FoundValue, ...]

    def get(self, field: FieldName) -> Scalar | None:
        """Return the value of a field, if there is one."""
        return next((each.value for each in self.values if each.field == field), None)
