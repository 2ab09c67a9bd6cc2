"""Name parts: a first and a last name read off a whole one, as values of less confidence."""

from collections.abc import Iterable, Iterator

import msgspec

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.normalization.names import read_name
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.provenance import is_human

DERIVED_CONFIDENCE = 0.7
"""How sure a part is at most that nobody stated."""
_PARTS = frozenset({FieldName.FIRST_NAME, FieldName.LAST_NAME})


def with_name_parts(values: Iterable[FoundValue]) -> tuple[FoundValue, ...]:
    """Return values, and the parts of a whole name where its source states none.

    A person's own word is left to their edit: it says which parts change with the name.
    """
    stated = tuple(values)
    wholes = [value for value in stated if value.field is FieldName.FULL_NAME]
    if not wholes:
        return stated
    sources = {value.source for value in stated if value.field in _PARTS}
    derived = [
        part
        for whole in wholes
        if whole.source not in sources and not is_human(whole.source)
        for part in _parts_of(whole)
    ]
    return (*stated, *derived)


def _parts_of(whole: FoundValue) -> Iterator[FoundValue]:
    name = read_name(str(whole.value))
    for field, part in ((FieldName.FIRST_NAME, name.first), (FieldName.LAST_NAME, name.last)):
        if part is not None:
            yield msgspec.structs.replace(
                whole,
                field=field,
                value=part,
                confidence=min(whole.confidence, DERIVED_CONFIDENCE),
                cost_micros=0,
            )
