"""Groups of things that are one: union-find over ids, the smallest (oldest) id leads each group."""

from collections.abc import Iterable
from uuid import UUID


class Groups:
    """Ids joined pair by pair. UUIDv7 compare by age, so the leader is the oldest."""

    def __init__(self) -> None:
        self._parent: dict[UUID, UUID] = {}

    def join(self, one: UUID, other: UUID) -> None:
        """Say that two are the same."""
        first, second = self.leader(one), self.leader(other)
        if first.int < second.int:
            self._parent[second] = first
        elif second.int < first.int:
            self._parent[first] = second

    def join_all(self, same: Iterable[UUID]) -> None:
        """Say that all of these are the same."""
        members = list(same)
        for other in members[1:]:
            self.join(members[0], other)

    def leader(self, one: UUID) -> UUID:
        """Tell the oldest of the group."""
        while (parent := self._parent.get(one, one)) != one:
            self._parent[one] = self._parent.get(parent, parent)
            one = parent
        return one
