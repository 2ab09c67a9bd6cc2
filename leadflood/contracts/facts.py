"""A value with its evidence, as every provider tells it and every store keeps it."""

from datetime import datetime

import msgspec

from leadflood.contracts.values import FieldName, Micros, Probability

Scalar = str | int | float | bool | tuple[str, ...]
"""What a field may hold; lists are of strings. `company_size` is a number of people."""


class FoundValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One value and who says so.

    `source` is the provider, `csv` or `user`, `method` its operation (`people.match`),
    `evidence_hash` the SHA-256 in hex of the raw answer; the cost is this value's part.
    """

    field: FieldName
    value: Scalar
    source: str
    method: str
    observed_at: datetime
    confidence: Probability
    evidence_hash: str
    cost_micros: Micros = 0


class FoundPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person as one provider tells it; `provider_id` is its name for the person there."""

    provider: str
    provider_id: str
    values: tuple[FoundValue, ...]

    def get(self, field: FieldName) -> Scalar | None:
        """Tell the value of a field, if it came along."""
        return next((found.value for found in self.values if found.field == field), None)
