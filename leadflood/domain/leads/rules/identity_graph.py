"""Identity graph: which records and leads are one, by the strength of the keys they share. Pure.

A strong key joins whoever bears it, unless their names are two people's. A weak key joins only
where nothing tells its bearers apart: no strong key of one kind that differs, no names that
differ, no person's word. As soon as two of its bearers are told apart, it joins nobody, but for
those of whom nothing else is known. A row that says exactly what one before said is of its lead,
whoever else bears its keys.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from leadflood.contracts.normalization.companies import company_key
from leadflood.contracts.normalization.names import whole_name
from leadflood.contracts.normalization.phones import is_mobile
from leadflood.contracts.normalization.text import name_key
from leadflood.domain.leads.rules.name_match import best_names, organisations_differ, people_differ
from leadflood.domain.leads.rules.union_find import UnionFind
from leadflood.domain.leads.schemas.identity import ROW, IdentityKey

MOST_BEARERS = 100
"""Of a key that more leads bear, only so many are looked at beside its holder."""
MOST_COMPARED = 12
"""A weak key that more leads bear is taken for shared without comparing each with each."""


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """A lead, a record or all that are one with them, as their keys and names say.

    - `id`: the oldest of them.
    - `members`: the ids of all.
    - `keys`: the keys of all.
    - `names`: folded names of the person; no given names alone where a whole name is known.
    - `organisations`: folded names of an organisation that is a lead itself, each with its place
      (`city=bonn`), if one is known.
    - `kept_apart`: leads that a person has said are others.
    """

    id: UUID
    members: frozenset[UUID]
    keys: frozenset[IdentityKey] = frozenset()
    names: frozenset[str] = frozenset()
    organisations: frozenset[tuple[str, str]] = frozenset()
    kept_apart: frozenset[UUID] = frozenset()

    @property
    def is_bare(self) -> bool:
        """Whether it has no strong key."""
        return not any(key.is_strong for key in self.keys)

    def union(self, other: "Bearer") -> "Bearer":
        """Return both as one."""
        return Bearer(
            id=min(self.id, other.id),
            members=self.members | other.members,
            keys=self.keys | other.keys,
            names=best_names(self.names | other.names),
            organisations=self.organisations | other.organisations,
            kept_apart=self.kept_apart | other.kept_apart,
        )


def make_bearer(
    bearer_id: UUID,
    keys: Iterable[IdentityKey],
    *,
    full_name: str = "",
    company_name: str = "",
    kept_apart: Iterable[UUID] = (),
) -> Bearer:
    """Return a lead or a record by itself; the names are not folded yet."""
    own = frozenset(keys)
    places = {key.value.rpartition("|")[2] for key in own if key.kind == "organisation"}
    is_organisation = bool(places) or any(key.kind == "company" for key in own)
    organisation = company_key(company_name) if is_organisation else ""
    name = name_key(whole_name(full_name))
    return Bearer(
        id=bearer_id,
        members=frozenset((bearer_id,)),
        keys=own,
        names=frozenset((name,) if name else ()),
        organisations=frozenset((organisation, place) for place in places or {""})
        if organisation
        else frozenset(),
        kept_apart=frozenset(kept_apart),
    )


class Join(msgspec.Struct, frozen=True):
    """Two that turned out to be one, by a key of this kind."""

    first_id: UUID
    second_id: UUID
    kind: str


class IdentityGraph:
    """Bearers of keys, joined as they are placed."""

    def __init__(self) -> None:
        self._union = UnionFind()
        self._bearers: dict[UUID, Bearer] = {}
        self._ids_by_key: dict[IdentityKey, dict[UUID, None]] = {}
        self.joins: list[Join] = []

    def add(self, bearer: Bearer) -> None:
        """Add a bearer that joins nobody by itself; what is there of it already is kept."""
        root = self._union.find_root(bearer.id)
        existing = self._bearers.get(root)
        self._bearers[root] = bearer if existing is None else existing.union(bearer)
        for key in bearer.keys:
            self._ids_by_key.setdefault(key, {})[root] = None

    def place(self, bearer: Bearer) -> None:
        """Add a bearer, and join it with those that it is."""
        self.add(bearer)
        for key in sorted(bearer.keys, key=_order):
            current = self.find(bearer.id)
            others = self._list_bearers(key, current) if key.may_join else ()
            if not others:
                continue
            if key.kind == ROW:
                self._join(current, others[0], key.kind)
                return
            find = _match_strong if key.is_strong else _match_weak
            for other in find(current, others, key.kind):
                self._join(self.find(bearer.id), other, key.kind)

    def place_all(self, bearers: Iterable[Bearer]) -> None:
        """Place bearers, those with strong keys first: the others are judged by all of them."""
        for bearer in sorted(bearers, key=lambda bearer: bearer.is_bare):
            self.place(bearer)

    def find(self, bearer_id: UUID) -> Bearer:
        """Return a bearer with all that are one with it."""
        return self._bearers[self._union.find_root(bearer_id)]

    def _list_bearers(self, key: IdentityKey, current: Bearer) -> list[Bearer]:
        is_exact = key.is_strong or current.is_bare
        most = MOST_BEARERS + 1 if is_exact else MOST_COMPARED
        roots: dict[UUID, None] = {}
        for bearer_id in self._ids_by_key[key]:
            root = self._union.find_root(bearer_id)
            if root != current.id:
                roots[root] = None
            if len(roots) == most:
                break
        return [self._bearers[root] for root in roots]

    def _join(self, first: Bearer, second: Bearer, kind: str) -> None:
        if first.id == second.id:
            return
        self._union.join(first.id, second.id)
        whole = first.union(second)
        del self._bearers[first.id], self._bearers[second.id]
        self._bearers[whole.id] = whole
        self.joins.append(Join(first.id, second.id, kind))


def _order(key: IdentityKey) -> tuple[bool, bool, IdentityKey]:
    return (key.kind != ROW, not key.is_strong, key)


def are_told_apart(left: Bearer, right: Bearer) -> bool:
    """Whether strong keys, mobile numbers, names or a person's word tell two apart."""
    return (
        _are_others(left, right)
        or _have_other_keys(left, right)
        or _have_other_mobiles(left, right)
    )


def _match_strong(current: Bearer, others: Sequence[Bearer], _kind: str) -> Sequence[Bearer]:
    """Return those that the key joins; of several people at one address the one of this name."""
    matches = [other for other in others if not _are_others(current, other)]
    if any(_are_others(matches[0], other) for other in matches[1:]):
        matches = [
            other
            for other in matches
            if other.names == current.names and other.organisations == current.organisations
        ][:1]
    return matches


def _match_weak(current: Bearer, others: Sequence[Bearer], kind: str) -> Sequence[Bearer]:
    if kind == "mailbox":
        others = [other for other in others if other.names == current.names]
    bearers = (current, *others)
    is_shared = len(bearers) > MOST_COMPARED or any(
        are_told_apart(left, right)
        for index, left in enumerate(bearers)
        for right in bearers[index + 1 :]
    )
    if not is_shared:
        return others
    if not current.is_bare:
        return ()
    return [other for other in others if other.is_bare and not are_told_apart(current, other)][:1]


def _are_others(left: Bearer, right: Bearer) -> bool:
    if left.kept_apart & right.members or right.kept_apart & left.members:
        return True
    if any(people_differ(name, other) for name in left.names for other in right.names):
        return True
    return any(
        organisations_differ(name, other_name)
        or (place != other_place and _sort_of(place) == _sort_of(other_place))
        for name, place in left.organisations
        for other_name, other_place in right.organisations
    )


def _sort_of(place: str) -> str:
    """Return whether a place is a city, a country or a phone; empty: none is known."""
    return place.partition("=")[0]


def _have_other_keys(left: Bearer, right: Bearer) -> bool:
    """Whether both have a strong key of one kind, and none of that kind in common."""
    kinds = {key.kind for key in left.keys if key.is_strong}
    kinds &= {key.kind for key in right.keys if key.is_strong}
    shared = {key.kind for key in left.keys & right.keys}
    return not kinds <= shared


def _have_other_mobiles(left: Bearer, right: Bearer) -> bool:
    """Whether both have mobile numbers, and none in common: a number of an office is shared."""
    numbers, others = _mobiles_of(left), _mobiles_of(right)
    return bool(numbers and others) and numbers.isdisjoint(others)


def _mobiles_of(bearer: Bearer) -> set[str]:
    phones = {key.value.rpartition("|")[2] for key in bearer.keys if key.kind == "name_phone"}
    return {phone for phone in phones if is_mobile(phone)}
