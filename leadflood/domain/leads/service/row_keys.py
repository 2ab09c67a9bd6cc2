"""Row keys: what finds the lead of a row again of whom its other keys do not tell.

Such are rows with a part of a name alone, and those whose keys many others bear: of these only some
are looked at.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol
from uuid import UUID

from leadflood.domain.leads.repository.identity_keys import find_holders
from leadflood.domain.leads.rules.identity import row_key
from leadflood.domain.leads.schemas.identity import IdentityKey, NewPerson
from leadflood.engine.db.tx import Tx

MOST_EQUAL = 20
"""So many equal rows of a file are people of their own; any more are the last of them again."""


class RowsOfFile(Protocol):
    """The file that people are rows of: those that it names again are leads merged by pointer."""

    async def find_named(self, tx: Tx, lead_ids: Iterable[UUID], /) -> set[UUID]:
        """Return which of these leads the file has named before."""


def is_keyless(keys: Iterable[IdentityKey]) -> bool:
    """Whether no key can tell who somebody is."""
    return not any(key.may_join for key in keys)


async def number_rows(
    tx: Tx, people: Mapping[UUID, NewPerson], file: RowsOfFile
) -> dict[UUID, IdentityKey]:
    """Return a key for each row without one, by an id of its own.

    Of equal rows of a file each has another key, and the same one when the file comes again.
    """
    keys = {own_id: row_key(person) for own_id, person in people.items()}
    counts = Counter(keys.values())
    holders = await find_holders(tx, counts)
    named = await file.find_named(tx, holders.values()) if holders else set()
    equal = [key for key, count in counts.items() if count > 1 or holders.get(key) in named]
    numbered = [_number(key, number) for key in equal for number in range(2, MOST_EQUAL + 1)]
    if numbered:
        further = await find_holders(tx, numbered)
        named |= await file.find_named(tx, further.values()) if further else set()
        holders |= further
    taken = {key for key, holder in holders.items() if holder in named}
    for own_id, key in keys.items():
        numbers = range(1, MOST_EQUAL)
        free = (each for each in (_number(key, n) for n in numbers) if each not in taken)
        keys[own_id] = next(free, _number(key, MOST_EQUAL))
        taken.add(keys[own_id])
    return keys


def _number(key: IdentityKey, number: int) -> IdentityKey:
    return IdentityKey(key.kind, f"{key.value.partition('#')[0]}#{number}")
